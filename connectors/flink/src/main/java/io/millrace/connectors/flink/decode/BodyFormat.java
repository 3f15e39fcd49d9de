package io.millrace.connectors.flink.decode;

import io.millrace.connectors.flink.source.Received;
import io.millrace.schemas.UnusableRecordException;
import java.io.Serializable;

/**
 * Turns received bytes into a record.
 *
 * @param <T> the record type
 */
public interface BodyFormat<T> extends Serializable {
  /** Prepares the format; called once a task. */
  default void open() {}

  /**
   * Decodes a record.
   *
   * @throws UnusableRecordException when the bytes are no record, with the reason to count
   */
  T decode(Received received);

  /**
   * Whether this is a repetition, as in a second pass over a file. A repetition is not counted, and
   * if it is refused it becomes no second dead letter.
   */
  default boolean isRepeat(Received received) {
    return false;
  }
}
