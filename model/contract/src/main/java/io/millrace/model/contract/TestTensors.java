package io.millrace.model.contract;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * Tensors for a test of a kernel. They are whole, or slices of larger tensors at odd offsets.
 * {@link #close} checks that nothing beside the slices was written.
 */
final class TestTensors implements AutoCloseable {

  private static final int BEFORE = 3;
  private static final int AFTER = 5;

  /** A number that bfloat16 has, too. */
  private static final float GUARD = 12_288f;

  private final Backend backend;
  private final boolean sliced;
  private final Random random = new Random(42);
  private final List<Tensor> owners = new ArrayList<>();

  private TestTensors(Backend backend, boolean sliced) {
    this.backend = backend;
    this.sliced = sliced;
  }

  /** Runs a test on whole tensors, then on slices. */
  static void wholeAndSliced(Backend backend, Consumer<TestTensors> test) {
    for (boolean sliced : new boolean[] {false, true}) {
      try (TestTensors tensors = new TestTensors(backend, sliced)) {
        test.accept(tensors);
      }
    }
  }

  /** Random float32 values, uniform in ±scale. */
  double[] values(int n, double scale) {
    return random.doubles(n, -scale, scale).map(value -> (float) value).toArray();
  }

  /** Random indices below a bound. */
  int[] indices(int n, int bound) {
    return random.ints(n, 0, bound).toArray();
  }

  /** Random values in float32, such as weights and sums of their gradients. */
  Tensor random(int... shape) {
    return tensor(values(Math.toIntExact(size(shape)), 1), shape);
  }

  /** Random activations, in the backend's precision. */
  Tensor activation(int... shape) {
    return activation(values(Math.toIntExact(size(shape)), 1), shape);
  }

  /** Activations of NaN, which a forward pass must overwrite. */
  Tensor output(int... shape) {
    double[] stale = new double[Math.toIntExact(size(shape))];
    Arrays.fill(stale, Float.NaN);
    return activation(stale, shape);
  }

  Tensor tensor(double[] values, int... shape) {
    return tensor(backend::allocate, values, shape);
  }

  /** Activations of the given values, rounded to the backend's precision. */
  Tensor activation(double[] values, int... shape) {
    return tensor(backend::allocateActivation, values, shape);
  }

  private Tensor tensor(Function<int[], Tensor> allocation, double[] values, int... shape) {
    float[] floats = floats(values);
    if (!sliced) {
      Tensor whole = allocation.apply(shape);
      whole.write(floats);
      owners.add(whole);
      return whole;
    }
    Tensor owner = allocation.apply(new int[] {BEFORE + floats.length + AFTER});
    float[] guarded = new float[BEFORE + floats.length + AFTER];
    Arrays.fill(guarded, GUARD);
    owner.write(guarded);
    owners.add(owner);
    Tensor slice = owner.slice(BEFORE, shape);
    slice.write(floats);
    return slice;
  }

  static float[] floats(double[] values) {
    float[] floats = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      floats[i] = (float) values[i];
    }
    return floats;
  }

  static double[] doubles(Tensor tensor) {
    return doubles(tensor.toFloats());
  }

  static double[] doubles(float[] values) {
    double[] doubles = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      doubles[i] = values[i];
    }
    return doubles;
  }

  static long size(int... shape) {
    return Arrays.stream(shape).asLongStream().reduce(1, (a, b) -> a * b);
  }

  static void assertClose(String what, double[] expected, double[] actual, double relative) {
    assertClose(what, expected, actual, relative, 1e-30);
  }

  static void assertClose(
      String what, double[] expected, double[] actual, double relative, double absolute) {
    double largest = Arrays.stream(expected).map(Math::abs).max().orElse(0);
    assertArrayEquals(expected, actual, Math.max(absolute, relative * largest), what);
  }

  @Override
  public void close() {
    if (sliced) {
      for (Tensor owner : owners) {
        float[] all = owner.toFloats();
        for (int i = 0; i < all.length; i++) {
          if (i < BEFORE || i >= all.length - AFTER) {
            assertEquals(
                GUARD, all[i], "a kernel wrote beside a slice, at element " + i + " of " + owner);
          }
        }
      }
    }
    owners.forEach(Tensor::close);
  }
}
