package io.millrace.connectors.kafka;

import java.io.Serializable;

/** A job's own condition on the records that it can use. Opened once a task, used by one thread. */
public interface Check<T> extends Serializable, AutoCloseable {

  /** Takes up what the check needs. */
  default void open() throws Exception {}

  /**
   * Lets a record pass.
   *
   * @throws io.millrace.schemas.InvalidRecordException with the reason it cannot be used
   */
  void check(T record);

  @Override
  default void close() {}

  /** No condition. */
  static <T> Check<T> none() {
    return record -> {};
  }
}
