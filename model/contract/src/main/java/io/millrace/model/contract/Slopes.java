package io.millrace.model.contract;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.Parameters;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.llama.Targets;
import io.millrace.model.tensor.Backend;
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
   *
   * @param weights the loss is computed from them
   */
  private static void assertSlope(
      Parameters weights, Parameters gradients, double tolerance, DoubleSupplier loss) {
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
      assertEquals(norm, slope, tolerance * (norm + 1), spec.name() + ", seed " + SEED);
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

  /** The shape of the models. */
  static LlamaConfig config(boolean tied) {
    return LlamaConfig.builder()
        .vocabSize(37)
        .hiddenSize(24)
        .layers(2)
        .heads(4)
        .kvHeads(2)
        .headDim(6)
        .ffnSize(20)
        .maxPositions(64)
        .tiedHead(tied)
        .bosToken(1)
        .eosToken(2)
        .build();
  }

  /**
   * Checks the gradient of a language model by a loss of log-probs and entropies.
   *
   * @param exact a model with the same weights that computes the losses; the model itself unless
   *     its precision is too low for differences
   * @param tolerance as a share of the gradient's norm, and of 1
   */
  static void assertSlope(
      Backend backend, LanguageModel model, LanguageModel exact, double tolerance) {
    List<int[]> sequences = batch(9, 2, 5);
    Targets targets = Targets.from(sequences, new int[] {3, 1, 2});
    SplittableRandom random = new SplittableRandom(SEED);
    float[] a = floats(random, targets.count());
    float[] b = floats(random, targets.count());
    try (Parameters gradients = Parameters.zeros(backend, model.weights().specs())) {
      model.forward(sequences, targets, 0.7f);
      model.backward(gradients, a, b);
      assertSlope(
          exact.weights(),
          gradients,
          tolerance,
          () -> {
            LanguageModel.TokenLogProbs out = exact.infer(sequences, targets, 0.7f);
            double loss = 0;
            for (int i = 0; i < a.length; i++) {
              loss += (double) a[i] * out.logProbs()[i] + (double) b[i] * out.entropies()[i];
            }
            return loss;
          });
    }
  }

  /** As for a language model, by a weighted sum of the scores. */
  static void assertSlope(Backend backend, ScalarModel model, ScalarModel exact, double tolerance) {
    List<int[]> sequences = batch(4, 7, 1);
    int[] rows = {0, 3, 5, 10, 11};
    float[] a = floats(new SplittableRandom(SEED), rows.length);
    try (Parameters gradients = Parameters.zeros(backend, model.weights().specs())) {
      model.forward(sequences, rows);
      model.backward(gradients, a);
      assertSlope(
          exact.weights(),
          gradients,
          tolerance,
          () -> {
            float[] scores = exact.infer(sequences, rows);
            double loss = 0;
            for (int i = 0; i < a.length; i++) {
              loss += (double) a[i] * scores[i];
            }
            return loss;
          });
    }
  }
}
