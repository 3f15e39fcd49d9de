package io.millrace.model.contract;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.millrace.model.llama.ActivationMemory;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.Parameters;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.llama.Targets;
import io.millrace.model.tensor.Backend;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.DoubleSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Whole models on a backend: their gradients against finite differences of their losses. */
public abstract class ModelGradientContract {

  private static final long SEED = 7;

  private Backend backend;

  /** A new backend. Each test opens one and closes it. */
  protected abstract Backend newBackend();

  @BeforeEach
  void open() {
    backend = newBackend();
  }

  @AfterEach
  void close() {
    backend.close();
  }

  private static LlamaConfig config(boolean tied) {
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

  private static List<int[]> batch(int... lengths) {
    SplittableRandom random = new SplittableRandom(SEED);
    List<int[]> batch = new ArrayList<>();
    for (int length : lengths) {
      batch.add(random.ints(length, 0, 37).toArray());
    }
    return batch;
  }

  /** Enlarges the weights, so that every path through the model matters. */
  private static void enlarge(Parameters weights) {
    float[] values = weights.decayed().toFloats();
    for (int i = 0; i < values.length; i++) {
      values[i] *= 10;
    }
    weights.decayed().write(values);
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void languageModelGradientIsTheSlopeOfItsLoss(boolean tied) {
    try (LanguageModel model = LanguageModel.random(backend, config(tied), SEED)) {
      enlarge(model.weights());
      List<int[]> sequences = batch(9, 2, 5);
      Targets targets = Targets.from(sequences, new int[] {3, 1, 2});
      SplittableRandom random = new SplittableRandom(SEED);
      float[] a = floats(random, targets.count());
      float[] b = floats(random, targets.count());
      Parameters gradients = Parameters.zeros(backend, model.weights().specs());
      model.forward(sequences, targets, 0.7f);
      model.backward(gradients, a, b);
      assertSlope(
          model.weights(),
          gradients,
          () -> {
            LanguageModel.TokenLogProbs out = model.infer(sequences, targets, 0.7f);
            double loss = 0;
            for (int i = 0; i < a.length; i++) {
              loss += (double) a[i] * out.logProbs()[i] + (double) b[i] * out.entropies()[i];
            }
            return loss;
          });
    }
  }

  @Test
  void scalarModelGradientIsTheSlopeOfItsLoss() {
    LlamaConfig config = config(true);
    try (ScalarModel model =
        new ScalarModel(
            backend, config, Parameters.random(backend, config.scalarParameters(), SEED))) {
      enlarge(model.weights());
      List<int[]> sequences = batch(4, 7, 1);
      int[] rows = {0, 3, 5, 10, 11};
      float[] a = floats(new SplittableRandom(SEED), rows.length);
      Parameters gradients = Parameters.zeros(backend, model.weights().specs());
      model.forward(sequences, rows);
      model.backward(gradients, a);
      assertSlope(
          model.weights(),
          gradients,
          () -> {
            float[] scores = model.infer(sequences, rows);
            double loss = 0;
            for (int i = 0; i < a.length; i++) {
              loss += (double) a[i] * scores[i];
            }
            return loss;
          });
    }
  }

  private static float[] floats(SplittableRandom random, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  /**
   * Checks every parameter: the slope of the loss along the gradient, divided by its norm, must be
   * that norm.
   */
  private static void assertSlope(Parameters weights, Parameters gradients, DoubleSupplier loss) {
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

  @Test
  void gradientsOfTwoPassesAddUp() {
    try (LanguageModel model = LanguageModel.random(backend, config(true), SEED)) {
      List<int[]> sequences = batch(5, 3);
      Targets targets = Targets.all(sequences);
      float[] ones = new float[targets.count()];
      Arrays.fill(ones, 1);
      Parameters once = Parameters.zeros(backend, model.weights().specs());
      Parameters twice = Parameters.zeros(backend, model.weights().specs());
      model.forward(sequences, targets, 1);
      model.backward(once, ones, new float[ones.length]);
      for (int pass = 0; pass < 2; pass++) {
        model.forward(sequences, targets, 1);
        model.backward(twice, ones, new float[ones.length]);
      }
      float[] expected = once.flat().toFloats();
      for (int i = 0; i < expected.length; i++) {
        expected[i] *= 2;
      }
      assertArrayEquals(expected, twice.flat().toFloats(), 1e-5f);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void recomputedActivationsGiveTheSameGradients(int layers) {
    LlamaConfig config =
        LlamaConfig.builder()
            .vocabSize(37)
            .hiddenSize(24)
            .layers(layers)
            .heads(4)
            .kvHeads(2)
            .headDim(6)
            .ffnSize(20)
            .maxPositions(64)
            .bosToken(1)
            .eosToken(2)
            .build();
    try (LanguageModel model = LanguageModel.random(backend, config, SEED)) {
      enlarge(model.weights());
      List<int[]> sequences = batch(9, 2, 5);
      Targets targets = Targets.all(sequences);
      float[] a = floats(new SplittableRandom(SEED), targets.count());
      List<float[]> gradients = new ArrayList<>();
      for (boolean recompute : new boolean[] {false, true, false}) {
        model.useMemory(new ActivationMemory(100, recompute));
        try (Parameters sums = Parameters.zeros(backend, model.weights().specs())) {
          model.forward(sequences, targets, 1);
          model.backward(sums, a, a);
          gradients.add(sums.flat().toFloats());
        }
      }
      assertArrayEquals(gradients.get(0), gradients.get(1), 0);
      assertArrayEquals(gradients.get(0), gradients.get(2), 0);
    }
  }

  @Test
  void aPassWithoutActivationsHasNoBackwardPass() {
    try (LanguageModel model = LanguageModel.random(backend, config(true), SEED);
        Parameters gradients = Parameters.zeros(backend, model.weights().specs())) {
      List<int[]> sequences = batch(5, 3);
      Targets targets = Targets.all(sequences);
      float[] ones = new float[targets.count()];
      model.forward(sequences, targets, 1);
      model.infer(sequences, targets, 1);
      assertThrows(IllegalStateException.class, () -> model.backward(gradients, ones, ones));
    }
  }
}
