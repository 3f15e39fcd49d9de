package io.millrace.model.contract;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.millrace.model.llama.Parameters;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.DoubleSupplier;

/** Finite differences of losses, and the batches that they are of. */
final class Slopes {

  static final long SEED = 7;

  private Slopes() {}

  /**
   * Checks every parameter: the slope of the loss along the gradient, divided by its norm, must be
   * that norm.
   */
  static void assertSlope(Parameters weights, Parameters gradients, DoubleSupplier loss) {
    for (var spec : weights.specs()) {
      float[] gradient = gradients.get(spec.name()).toFloats();
      double squared = 0;
      for (float g : gradient) {
        squared += (double) g * g;
      }
      double norm = Math.sqrt(squared);
      float[] before = weights.get(spec.name()).toFloats();
      // Two step sizes give a fourth-order difference. The noise of float32 allows no smaller
      // steps.
      double slope =
          (8 * difference(weights, spec.name(), before, gradient, 0.01 / norm, loss)
                  - difference(weights, spec.name(), before, gradient, 0.02 / norm, loss))
              / (12 * 0.01);
      assertEquals(norm, slope, 2e-3 * norm + 2e-3, spec.name() + ", seed " + SEED);
    }
  }

  private static double difference(
      Parameters weights,
      String name,
      float[] before,
      float[] direction,
      double step,
      DoubleSupplier loss) {
    double[] sides = new double[2];
    for (int side = 0; side < 2; side++) {
      float[] moved = before.clone();
      for (int i = 0; i < moved.length; i++) {
        moved[i] += (float) ((side == 0 ? step : -step) * direction[i]);
      }
      weights.get(name).write(moved);
      sides[side] = loss.getAsDouble();
    }
    weights.get(name).write(before);
    return sides[0] - sides[1];
  }

  static List<int[]> batch(int... lengths) {
    SplittableRandom random = new SplittableRandom(SEED);
    List<int[]> batch = new ArrayList<>();
    for (int length : lengths) {
      batch.add(random.ints(length, 0, 37).toArray());
    }
    return batch;
  }

  /** Enlarges the weights, so that every path through the model matters. */
  static void enlarge(Parameters weights) {
    float[] values = weights.decayed().toFloats();
    for (int i = 0; i < values.length; i++) {
      values[i] *= 10;
    }
    weights.decayed().write(values);
  }

  static float[] floats(SplittableRandom random, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }
}
