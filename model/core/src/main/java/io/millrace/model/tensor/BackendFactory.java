package io.millrace.model.tensor;

/**
 * Opens backends of one kind. {@link Backends} finds the factories of the class path with {@link
 * java.util.ServiceLoader}.
 */
public interface BackendFactory {

  /** The name in {@code compute.backend}, in lower case. */
  String name();

  /** A new backend, for one thread at a time. */
  Backend open();

  /**
   * Sets how many threads compute at once in this process. It has an effect only before the first
   * backend is opened, and only on a backend with threads of its own.
   *
   * @param threads at least 1
   */
  default void useThreads(int threads) {}
}
