package io.millrace.model.contract;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.llama.ActivationMemory;
import io.millrace.model.llama.AdapterConfig;
import io.millrace.model.llama.FrozenWeights;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.LlamaConfig.ParameterSpec;
import io.millrace.model.llama.Parameters;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.llama.Targets;
import io.millrace.model.llama.Weights;
import io.millrace.model.sampling.EngineSettings;
import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.sampling.SamplingEngine;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Adapters on a backend: against finite differences, and against a model whose weights are W +
 * scale · B · A, computed here in float64.
 */
public abstract class AdapterContract {

  private static final LlamaConfig CONFIG = Slopes.config(true);
  private static final AdapterConfig ALL = new AdapterConfig(3, 5, AdapterConfig.PROJECTIONS);
  private static final AdapterConfig SOME = new AdapterConfig(2, 2, List.of("v_proj", "q_proj"));

  private Backend backend;
  private Parameters base;
  private FrozenWeights frozen;

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

  /** Tolerance of log-probabilities between an adapter and the sum of weights. */
  protected float logProbTolerance() {
    return 2e-4f;
  }

  @BeforeEach
  void open() {
    backend = newBackend();
    base = Parameters.random(backend, CONFIG.parameters(), Slopes.SEED);
    Slopes.enlarge(base);
    float[] values = base.flat().toFloats();
    for (int i = 0; i < values.length; i++) {
      // Frozen weights may be bfloat16, the upper half of a float.
      values[i] = Float.intBitsToFloat(Float.floatToRawIntBits(values[i]) & 0xffff0000);
    }
    base.flat().write(values);
    frozen = frozen(backend);
  }

  private FrozenWeights frozen(Backend on) {
    return FrozenWeights.of(
        on, base.specs(), (spec, tensor) -> tensor.write(base.get(spec.name()).toFloats()));
  }

  @AfterEach
  void close() {
    frozen.close();
    base.close();
    backend.close();
  }

  /** Parameters whose B is not 0, so that the adapter matters. */
  private static Parameters trained(Backend backend, List<ParameterSpec> specs, long seed) {
    Parameters parameters = Weights.initial(backend, specs, seed);
    SplittableRandom random = new SplittableRandom(seed);
    float[] values = parameters.flat().toFloats();
    for (int i = 0; i < values.length; i++) {
      values[i] += (float) (0.2 * random.nextGaussian());
    }
    parameters.flat().write(values);
    return parameters;
  }

  private LanguageModel adapted(AdapterConfig adapter, long seed) {
    return adapted(backend, frozen.share(), adapter, seed);
  }

  private static LanguageModel adapted(
      Backend backend, FrozenWeights frozen, AdapterConfig adapter, long seed) {
    return new LanguageModel(
        backend,
        CONFIG,
        Weights.adapter(frozen, adapter, trained(backend, adapter.parameters(CONFIG), seed)));
  }

  private static ScalarModel scalar(Backend backend, FrozenWeights frozen) {
    return new ScalarModel(
        backend,
        CONFIG,
        Weights.adapter(frozen, ALL, trained(backend, ALL.scalarParameters(CONFIG), 5)));
  }

  /** The model with W + scale · B · A. */
  private LanguageModel merged(AdapterConfig adapter, Parameters trained) {
    Parameters weights = Parameters.zeros(backend, base.specs());
    weights.copyCommonFrom(base);
    for (ParameterSpec spec : base.specs()) {
      if (adapter.isTarget(spec.name())) {
        String prefix = spec.name().substring(0, spec.name().length() - ".weight".length());
        float[] a = trained.get(prefix + ".lora_A.weight").toFloats();
        float[] b = trained.get(prefix + ".lora_B.weight").toFloats();
        int out = spec.shape()[0];
        int in = spec.shape()[1];
        float[] w = weights.get(spec.name()).toFloats();
        for (int i = 0; i < out; i++) {
          for (int j = 0; j < in; j++) {
            double product = 0;
            for (int k = 0; k < adapter.rank(); k++) {
              product += (double) b[i * adapter.rank() + k] * a[k * in + j];
            }
            w[i * in + j] += (float) (adapter.alpha() / adapter.rank() * product);
          }
        }
        weights.get(spec.name()).write(w);
      }
    }
    return new LanguageModel(backend, CONFIG, weights);
  }

  @Test
  void aNewAdapterChangesNothing() {
    List<int[]> sequences = Slopes.batch(9, 2, 5);
    Targets targets = Targets.all(sequences);
    try (LanguageModel fresh =
            new LanguageModel(
                backend,
                CONFIG,
                Weights.adapter(
                    frozen.share(),
                    ALL,
                    Weights.initial(backend, ALL.parameters(CONFIG), Slopes.SEED)));
        LanguageModel plain = merged(SOME, trained(backend, SOME.parameters(CONFIG), 1))) {
      plain.weights().copyCommonFrom(base);
      assertArrayEquals(
          plain.infer(sequences, targets, 1).logProbs(),
          fresh.infer(sequences, targets, 1).logProbs(),
          1e-5f);
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void anAdapterIsASumOfWeights(boolean all) {
    AdapterConfig adapter = all ? ALL : SOME;
    List<int[]> sequences = Slopes.batch(9, 2, 5);
    Targets targets = Targets.all(sequences);
    try (LanguageModel adapted = adapted(adapter, 3);
        LanguageModel merged = merged(adapter, adapted.weights())) {
      LanguageModel.TokenLogProbs expected = merged.infer(sequences, targets, 0.7f);
      LanguageModel.TokenLogProbs actual = adapted.infer(sequences, targets, 0.7f);
      assertArrayEquals(expected.logProbs(), actual.logProbs(), logProbTolerance());
      assertArrayEquals(expected.entropies(), actual.entropies(), logProbTolerance());
      // Sampling has a forward pass of its own.
      SamplingRequest request =
          new SamplingRequest(
              new int[] {1, 5, 9}, new long[] {1, 2, 3}, new SamplingOptions(12, 1, 1));
      for (SampledResponse response : sample(adapted, request)) {
        int[] prompt = request.prompt();
        int[] whole = Arrays.copyOf(prompt, prompt.length + response.tokens().length);
        System.arraycopy(response.tokens(), 0, whole, prompt.length, response.tokens().length);
        List<int[]> one = List.of(whole);
        assertArrayEquals(
            merged.infer(one, Targets.from(one, new int[] {prompt.length}), 1).logProbs(),
            response.logProbs(),
            logProbTolerance());
      }
    }
  }

  private static List<SampledResponse> sample(LanguageModel model, SamplingRequest request) {
    try (SamplingEngine engine = new SamplingEngine(model, new EngineSettings(16, 64, 32, 29, 2))) {
      return engine.sampleAll(List.of(request));
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void theGradientIsTheSlopeOfTheLoss(boolean all) {
    AdapterConfig adapter = all ? ALL : SOME;
    try (Backend other = newExactBackend();
        LanguageModel model = adapted(adapter, 3);
        LanguageModel exact = adapted(other, frozen(other), adapter, 3)) {
      Slopes.assertSlope(backend, model, exact, slopeTolerance());
    }
  }

  @Test
  void theGradientOfAScalarModelIsTheSlopeOfItsLoss() {
    try (Backend other = newExactBackend();
        ScalarModel model = scalar(backend, frozen.share());
        ScalarModel exact = scalar(other, frozen(other))) {
      Slopes.assertSlope(backend, model, exact, slopeTolerance());
    }
  }

  @Test
  void recomputedActivationsGiveTheSameGradients() {
    List<int[]> sequences = Slopes.batch(9, 2, 5);
    Targets targets = Targets.all(sequences);
    float[] a = Slopes.floats(new SplittableRandom(Slopes.SEED), targets.count());
    List<float[]> gradients = new ArrayList<>();
    try (LanguageModel model = adapted(ALL, 3)) {
      for (boolean recompute : new boolean[] {false, true}) {
        model.useMemory(new ActivationMemory(100, recompute));
        try (Parameters sums = Parameters.zeros(backend, model.weights().specs())) {
          model.forward(sequences, targets, 1);
          model.backward(sums, a, a);
          gradients.add(sums.flat().toFloats());
        }
      }
    }
    assertArrayEquals(gradients.get(0), gradients.get(1), 0);
  }

  @Test
  void modelsShareTheFrozenWeightsAndNeverChangeThem() {
    float[] before = base.flat().toFloats();
    List<int[]> sequences = Slopes.batch(9, 2, 5);
    Targets targets = Targets.all(sequences);
    float[] ones = new float[targets.count()];
    Arrays.fill(ones, 1);
    try (LanguageModel one = adapted(ALL, 3);
        LanguageModel other = adapted(SOME, 4);
        Parameters gradients = Parameters.zeros(backend, one.weights().specs())) {
      float[] untouched = other.infer(sequences, targets, 1).logProbs();
      one.forward(sequences, targets, 1);
      one.backward(gradients, ones, ones);
      backend.add(one.weights().flat(), gradients.flat());
      assertFalse(
          Arrays.equals(untouched, one.infer(sequences, targets, 1).logProbs()), "it learned");
      assertArrayEquals(untouched, other.infer(sequences, targets, 1).logProbs(), 0);
    }
    int at = 0;
    for (ParameterSpec spec : base.specs()) {
      float[] values = frozen.get(spec.name()).toFloats();
      assertArrayEquals(base.get(spec.name()).toFloats(), values, 0, spec.name());
      at += values.length;
    }
    assertEquals(before.length, at);
  }

  @Test
  void theLastUserFreesTheFrozenWeights() {
    FrozenWeights weights = FrozenWeights.of(backend, CONFIG.parameters(), (spec, tensor) -> {});
    Tensor embedding = weights.get(LlamaConfig.EMBEDDING);
    weights.share();
    weights.close();
    assertEquals(37 * 24, embedding.toFloats().length, "one user is left");
    weights.close();
    assertThrows(RuntimeException.class, embedding::toFloats);
    assertTrue(
        assertThrows(IllegalStateException.class, weights::share).getMessage().contains("freed"));
  }
}
