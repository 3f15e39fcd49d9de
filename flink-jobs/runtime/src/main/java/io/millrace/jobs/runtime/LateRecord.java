package io.millrace.jobs.runtime;

/**
 * A record that takes time to make, such as the announcement of a version whose files are being
 * written. It is made beside training and emitted in its place among the others.
 *
 * @param <T> the record
 */
public interface LateRecord<T> extends AutoCloseable {

  /** Makes the record, on a thread of its own, while training changes its models. */
  T make() throws Exception;

  /** Frees what making the record needs. Called once, after it was made or instead. */
  @Override
  void close();

  /** A record that is there already. */
  static <T> LateRecord<T> of(T record) {
    return new LateRecord<>() {
      @Override
      public T make() {
        return record;
      }

      @Override
      public void close() {}
    };
  }
}
