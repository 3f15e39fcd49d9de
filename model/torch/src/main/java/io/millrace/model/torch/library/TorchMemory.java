package io.millrace.model.torch.library;

import io.millrace.model.tensor.OutOfDeviceMemoryException;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.Collectors;

/** Counts the memory of a device by its use, and explains why it ran out. */
public final class TorchMemory {

  /** What memory is for, and what makes it smaller. */
  public enum Use {
    STATE("weights, gradients and moments", "a smaller model"),
    FROZEN("frozen weights, and copies to be written", "a lower compute.copy-memory-mib"),
    COMPUTE_COPIES("bfloat16 copies of weights", "a smaller model"),
    ACTIVATIONS(
        "activations", "a lower compute.micro-batch-tokens, or compute.recompute-activations=true"),
    KV_CACHE("keys and values of sampling", "fewer sequences at a time"),
    SCRATCH("scratch memory of kernels", "a lower compute.micro-batch-tokens");

    private final String description;
    private final String lower;

    Use(String description, String lower) {
      this.description = description;
      this.lower = lower;
    }
  }

  // All backends of a process share the devices.
  private static final Map<Use, Long> USED = new EnumMap<>(Use.class);
  private static long used;
  private static long peak;

  private final TorchDevice device;

  public TorchMemory(TorchDevice device) {
    this.device = device;
  }

  public TorchDevice device() {
    return device;
  }

  public static long peakBytes() {
    synchronized (USED) {
      return peak;
    }
  }

  public static long usedBytes() {
    synchronized (USED) {
      return used;
    }
  }

  /**
   * Allocates memory that {@link #freed} gives back.
   *
   * @throws OutOfDeviceMemoryException if the device has no more
   */
  public <T> T allocate(Use use, long bytes, Supplier<T> allocation) {
    T allocated;
    try {
      allocated = allocation.get();
    } catch (RuntimeException e) {
      throw explained(use.description + " of " + readable(bytes), e);
    }
    synchronized (USED) {
      long _ = USED.merge(use, bytes, Long::sum);
      used += bytes;
      peak = Math.max(peak, used);
    }
    return allocated;
  }

  public void freed(Use use, long bytes) {
    synchronized (USED) {
      long _ = USED.merge(use, -bytes, Long::sum);
      used -= bytes;
    }
  }

  /** Counts memory as of another use. */
  void moved(Use from, Use to, long bytes) {
    synchronized (USED) {
      long _ = USED.merge(from, -bytes, Long::sum);
      long _ = USED.merge(to, bytes, Long::sum);
    }
  }

  /** The error of libtorch, or one that names the largest consumers if memory ran out. */
  public RuntimeException explained(String attempt, RuntimeException error) {
    String message = String.valueOf(error.getMessage());
    boolean outOfMemory =
        message.contains("out of memory")
            || message.contains("can't allocate memory")
            || message.contains("not enough memory");
    if (error instanceof OutOfDeviceMemoryException || !outOfMemory) {
      return error;
    }
    Map<Use, Long> uses;
    synchronized (USED) {
      uses = new EnumMap<>(USED);
    }
    String largest =
        uses.entrySet().stream()
            .filter(entry -> entry.getValue() > 0)
            .sorted(Map.Entry.comparingByValue(Comparator.reverseOrder()))
            .map(
                entry ->
                    "%s %s (less with %s)"
                        .formatted(
                            readable(entry.getValue()),
                            entry.getKey().description,
                            entry.getKey().lower))
            .collect(Collectors.joining("; "));
    return new OutOfDeviceMemoryException(
        "out of memory on %s at %s. This process holds there: %s"
            .formatted(device.name(), attempt, largest.isEmpty() ? "nothing yet" : largest),
        error);
  }

  private static String readable(long bytes) {
    return bytes >= 1L << 30
        ? String.format(Locale.ROOT, "%.1f GiB", bytes / (double) (1L << 30))
        : String.format(Locale.ROOT, "%.1f MiB", bytes / (double) (1L << 20));
  }
}
