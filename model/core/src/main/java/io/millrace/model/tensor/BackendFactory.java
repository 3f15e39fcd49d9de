package io.millrace.model.tensor;

import java.util.List;

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
   * Checks where and in which precision this kind of backend can compute. It looks at no device: a
   * job is submitted from a machine that need not have one.
   *
   * @throws IllegalArgumentException if the backend has no such device or precision; the message
   *     begins with the name of the option
   */
  default void require(Placement placement) {
    if (!placement.device().equals(Placement.AUTO) && !placement.device().equals("cpu")) {
      throw new IllegalArgumentException(
          "device must be auto or cpu for the backend %s, not '%s': set compute.backend to torch to compute on a GPU"
              .formatted(name(), placement.device()));
    }
    if (placement.precision() != Precision.FLOAT32) {
      throw new IllegalArgumentException(
          "precision must be float32 for the backend %s, not %s: set compute.backend to torch to compute in it"
              .formatted(name(), placement.precision()));
    }
  }

  /**
   * As {@link #open()}, on a device and in a precision.
   *
   * @throws IllegalArgumentException as {@link #require}
   * @throws IllegalStateException if this machine does not have the device
   */
  default Backend open(Placement placement) {
    require(placement);
    return open();
  }

  /**
   * The libraries and devices that this backend finds on this machine, and what it misses, for
   * people: a line each.
   */
  default List<String> findings() {
    return List.of();
  }

  /**
   * Sets the number of threads that compute at once in this process. Only a backend with its own
   * threads heeds it, and only before the first backend is opened.
   *
   * @param threads at least 1
   */
  default void useThreads(int threads) {}
}
