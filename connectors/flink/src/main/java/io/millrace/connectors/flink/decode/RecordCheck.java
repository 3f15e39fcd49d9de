package io.millrace.connectors.flink.decode;

import io.millrace.schemas.UnusableRecordException;
import java.io.Serializable;

/**
 * A job's own rule for valid records.
 *
 * @param <T> the record type
 */
@FunctionalInterface
public interface RecordCheck<T> extends Serializable {
  /** Prepares the rule; called once a task. */
  default void open() throws Exception {}

  /** Releases what {@link #open} acquired. */
  default void close() {}

  /**
   * Shortens a valid record that is longer than the job can use. The job gets the result, and a
   * metric counts it.
   *
   * @return the record itself where nothing is to be shortened
   */
  default T shorten(T record) {
    return record;
  }

  /**
   * Returns normally for a record that the job can use.
   *
   * @throws UnusableRecordException for any other record, with the reason to count
   */
  void check(T record);
}
