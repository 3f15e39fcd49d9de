package io.millrace.model.contract;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
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

  /**
   * A new backend that computes the losses whose slopes the gradients must be. Finite differences
   * need more digits than a backend of low precision has.
   */
  protected Backend newExactBackend() {
    return newBackend();
  }

  /** Tolerance of a gradient, as a share of its norm, and of 1. */
  protected double slopeTolerance() {
    return 2e-3;
  }

  @BeforeEach
  void open() {
    backend = newBackend();
  }

  @AfterEach
  void close() {
    backend.close();
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void languageModelGradientIsTheSlopeOfItsLoss(boolean tied) {
    LlamaConfig config = Slopes.config(tied);
    try (Backend other = newExactBackend();
        LanguageModel model = LanguageModel.random(backend, config, SEED);
        LanguageModel exact = LanguageModel.random(other, config, SEED)) {
      Slopes.enlarge(model.weights());
      Slopes.enlarge(exact.weights());
      Slopes.assertSlope(backend, model, exact, slopeTolerance());
    }
  }

  @Test
  void scalarModelGradientIsTheSlopeOfItsLoss() {
    LlamaConfig config = Slopes.config(true);
    try (Backend other = newExactBackend();
        ScalarModel model = scalar(backend, config);
        ScalarModel exact = scalar(other, config)) {
      Slopes.assertSlope(backend, model, exact, slopeTolerance());
    }
  }

  private static ScalarModel scalar(Backend backend, LlamaConfig config) {
    Parameters weights = Parameters.random(backend, config.scalarParameters(), SEED);
    Slopes.enlarge(weights);
    return new ScalarModel(backend, config, weights);
  }

  @Test
  void gradientsOfTwoPassesAddUp() {
    try (LanguageModel model = LanguageModel.random(backend, Slopes.config(true), SEED)) {
      List<int[]> sequences = Slopes.batch(5, 3);
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
      Slopes.enlarge(model.weights());
      List<int[]> sequences = Slopes.batch(9, 2, 5);
      Targets targets = Targets.all(sequences);
      float[] a = Slopes.floats(new SplittableRandom(SEED), targets.count());
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
    try (LanguageModel model = LanguageModel.random(backend, Slopes.config(true), SEED);
        Parameters gradients = Parameters.zeros(backend, model.weights().specs())) {
      List<int[]> sequences = Slopes.batch(5, 3);
      Targets targets = Targets.all(sequences);
      float[] ones = new float[targets.count()];
      model.forward(sequences, targets, 1);
      model.infer(sequences, targets, 1);
      assertThrows(IllegalStateException.class, () -> model.backward(gradients, ones, ones));
    }
  }
}
