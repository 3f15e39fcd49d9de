package io.millrace.connectors.flink;

import io.millrace.schemas.UnusableRecordException;
import java.io.Serializable;

/**
 * What makes a record of the bytes that came.
 *
 * @param <T> the record type
 */
public interface BodyFormat<T> extends Serializable {
  /** Takes up what it needs; called once a task. */
  default void open() {}

  /**
   * The record.
   *
   * @throws UnusableRecordException where the bytes are none, with the reason under which it is
   *     counted
   */
  T decode(Received received);

  /**
   * Whether this came before, as in a second pass over a file: what was refused then needs no other
   * dead letter, and counts no more.
   */
  default boolean isRepeat(Received received) {
    return false;
  }
}
