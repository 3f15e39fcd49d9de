package io.millrace.model.tensor;

/**
 * Opens backends. {@link Backends} finds the factories on the class path with {@link
 * java.util.ServiceLoader}.
 */
public interface BackendFactory {

  /** The value of {@code compute.backend} that selects this factory, in lower case. */
  String name();

  /** A new backend, for one thread at a time. The caller closes it. */
  Backend open();

  /**
   * Sets the number of threads that compute at once in this process. Only a backend with its own
   * threads heeds it, and only before the first backend is opened.
   *
   * @param threads at least 1
   */
  default void useThreads(int threads) {}
}
