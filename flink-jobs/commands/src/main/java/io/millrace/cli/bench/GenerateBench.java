package io.millrace.cli.bench;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.sampling.EngineSettings;
import io.millrace.model.sampling.SampledResponse;
import io.millrace.model.sampling.SamplingEngine;
import io.millrace.model.sampling.SamplingOptions;
import io.millrace.model.sampling.SamplingRequest;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Precision;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/** Sampling with the engine of the rollout job, at temperature 1 and without stop tokens. */
final class GenerateBench {

  private static final long SEED = 1;

  private final Backend backend;
  private final LanguageModel model;
  private final Precision precision;
  private final int batch;
  private final int promptLength;
  private final int maxTokens;

  /**
   * A case.
   *
   * @param precision of the weights that products read, and of keys and values
   * @param batch responses sampled together, each to a prompt of its own
   * @param promptLength tokens of each prompt
   * @param maxTokens tokens of each response
   */
  GenerateBench(
      Backend backend,
      LanguageModel model,
      Precision precision,
      int batch,
      int promptLength,
      int maxTokens) {
    this.backend = backend;
    this.model = model;
    this.precision = precision;
    this.batch = batch;
    this.promptLength = promptLength;
    this.maxTokens = maxTokens;
  }

  /** Measures iterations after a warm-up; the time includes the prompts. */
  BenchLine run(int iterations) {
    double peak = Peak.flopsPerSecond(backend);
    LlamaConfig config = model.config();
    SplittableRandom random = new SplittableRandom(SEED);
    SamplingOptions options = new SamplingOptions(maxTokens, 1, 1);
    List<SamplingRequest> requests = new ArrayList<>();
    for (int i = 0; i < batch; i++) {
      int[] prompt = random.ints(promptLength, 0, config.vocabSize()).toArray();
      requests.add(SamplingRequest.single(prompt, random.nextLong(), options));
    }
    double[] seconds = new double[iterations];
    try (SamplingEngine engine =
        new SamplingEngine(model, EngineSettings.of(batch, promptLength + maxTokens))) {
      WarmUp warmUp = new WarmUp();
      for (int i = 0; i < iterations; ) {
        boolean counts = !warmUp.goesOn();
        long start = System.nanoTime();
        int sampled = 0;
        for (SampledResponse response : engine.sampleAll(requests)) {
          sampled += response.tokens().length;
        }
        if (counts) {
          seconds[i++] = (System.nanoTime() - start) / 1e9;
        }
        if (sampled != batch * maxTokens) {
          throw new IllegalStateException(
              "the engine sampled %d tokens, not %d".formatted(sampled, batch * maxTokens));
        }
      }
    }
    // No forward pass runs on the last token of a response.
    int length = promptLength + maxTokens - 1;
    double flops =
        Flops.trunk(config, batch, promptLength - 1, length)
            + Flops.head(config, (long) batch * maxTokens);
    Map<String, Integer> lengths = new LinkedHashMap<>();
    lengths.put("batch", batch);
    lengths.put("prompt_length", promptLength);
    lengths.put("max_tokens", maxTokens);
    double bandwidth = Peak.bytesPerSecond(backend);
    double[] sorted = seconds.clone();
    Arrays.sort(sorted);
    double read = bytesRead(config) / sorted[sorted.length / 2];
    return BenchLine.of("generate", backend, config)
        .more("gb_per_second", read / 1e9)
        .more("peak_gb_per_second", bandwidth / 1e9)
        .more("bandwidth_share", read / bandwidth)
        .lengths(lengths)
        .seconds(seconds)
        .tokens((double) batch * maxTokens)
        .flops(flops)
        .peak(Math.max(peak, Peak.flopsPerSecond(backend)))
        .build();
  }

  /**
   * The least memory that sampling reads: each step all matrices once, and the keys and values of
   * all tokens so far. Prompts and elementwise operations do not count.
   */
  private double bytesRead(LlamaConfig config) {
    double element = precision == Precision.FLOAT32 ? Float.BYTES : Short.BYTES;
    double matrices =
        config.trunkParameters().stream()
            .filter(spec -> spec.decay() && !spec.name().equals(LlamaConfig.EMBEDDING))
            .mapToDouble(LlamaConfig.ParameterSpec::elementCount)
            .sum();
    double head = (double) config.vocabSize() * config.hiddenSize();
    double keysAndValues = 2.0 * config.layers() * config.kvHeads() * config.headDim();
    double meanLength = promptLength + (maxTokens - 1) / 2.0;
    return element * maxTokens * (matrices + head + batch * meanLength * keysAndValues);
  }
}
