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
  /** Takes up what the rule needs; called once a task. */
  default void open() throws Exception {}

  /** Gives it back. */
  default void close() {}

  /**
   * Returns for a record that the job can use.
   *
   * @throws UnusableRecordException for any other, with the reason under which it is counted
   */
  void check(T record);
}
