package io.millrace.model.tensor;

/**
 * Where a backend computes, and in which precision.
 *
 * @param device {@code auto}, {@code cpu}, {@code cuda}, or {@code cuda:N} for the CUDA device N;
 *     {@code auto} is the first CUDA device if the backend finds one, else the CPU
 * @param precision of activations and products
 */
public record Placement(String device, Precision precision) {

  /** The value of {@link #device} that lets the backend choose. */
  public static final String AUTO = "auto";

  public Placement {
    if (!device.matches("auto|cpu|cuda(:\\d{1,3})?")) {
      throw new IllegalArgumentException(
          "device must be auto, cpu, cuda or cuda:N, such as cuda:0, not '" + device + "'");
    }
  }

  /** A device that the backend chooses, and float32. */
  public static Placement defaults() {
    return new Placement(AUTO, Precision.FLOAT32);
  }
}
