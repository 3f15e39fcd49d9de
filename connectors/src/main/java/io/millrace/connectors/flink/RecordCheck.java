package io.millrace.connectors.flink;

import io.millrace.schemas.UnusableRecordException;
import java.io.Serializable;

/**
 * A job's own rule for records that are valid as such.
 *
 * @param <T> the record type
 */
@FunctionalInterface
public interface RecordCheck<T> extends Serializable {
  /**
   * Returns for a record that the job can use.
   *
   * @throws UnusableRecordException for any other, with the reason under which it is counted
   */
  void check(T record);
}
