package io.millrace.cli.bench;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.llama.Targets;
import io.millrace.model.tensor.Backend;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/** Scoring of a batch of rollouts in the PPO job: two reward models, and log π_0. */
final class ScoreBench {

  private static final long SEED = 1;

  private final Backend backend;
  private final LlamaConfig config;
  private final BatchShape shape;

  ScoreBench(Backend backend, LlamaConfig config, BatchShape shape) {
    this.backend = backend;
    this.config = config;
    this.shape = shape;
  }

  /** Measures iterations after a warm-up. */
  BenchLine run(int iterations) {
    int batch = shape.batch();
    int length = shape.length();
    int response = shape.response();
    double peak = Peak.flopsPerSecond(backend);
    SplittableRandom random = new SplittableRandom(SEED);
    List<int[]> sequences = new ArrayList<>();
    int[] from = new int[batch];
    for (int i = 0; i < batch; i++) {
      sequences.add(random.ints(length, 0, config.vocabSize()).toArray());
      from[i] = length - response;
    }
    Targets targets = Targets.from(sequences, from);
    double[] seconds = new double[iterations];
    try (LanguageModel reference = LanguageModel.random(backend, config, SEED);
        ScalarModel helpfulness = ScalarModel.onTrunkOf(backend, config, reference.weights());
        ScalarModel safety = ScalarModel.onTrunkOf(backend, config, reference.weights())) {
      WarmUp warmUp = new WarmUp();
      for (int i = 0; i < iterations; ) {
        boolean counts = !warmUp.goesOn();
        long start = System.nanoTime();
        float[] scores = helpfulness.score(sequences);
        scores[0] += safety.score(sequences)[0];
        scores[0] += reference.infer(sequences, targets, 1).logProbs()[0];
        if (!Float.isFinite(scores[0])) {
          throw new IllegalStateException("a score is not finite");
        }
        if (counts) {
          seconds[i++] = (System.nanoTime() - start) / 1e9;
        }
      }
    }
    double flops =
        2 * Flops.trunk(config, batch, length - 1, length)
            + Flops.trunk(config, batch, length - response - 1, length - 1)
            + Flops.head(config, (long) batch * response);
    return BenchLine.of("score", backend, config)
        .lengths(shape.lengths())
        .seconds(seconds)
        .tokens((double) batch * length)
        .flops(flops)
        .peak(Math.max(peak, Peak.flopsPerSecond(backend)))
        .build();
  }
}
