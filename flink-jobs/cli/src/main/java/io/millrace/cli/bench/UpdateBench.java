package io.millrace.cli.bench;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.ppo.Advantages;
import io.millrace.model.ppo.KlController;
import io.millrace.model.ppo.KlPenalty;
import io.millrace.model.ppo.PpoObjective;
import io.millrace.model.ppo.PpoRollout;
import io.millrace.model.ppo.PpoSettings;
import io.millrace.model.ppo.PpoTrainer;
import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Backend;
import io.millrace.model.training.LearningRate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * One PPO update of policy and critic with the job's own trainer: forward, backward, clipping,
 * AdamW. The clock starts after the computation of old values and advantages.
 */
final class UpdateBench {

  private static final long SEED = 1;

  private final Backend backend;
  private final LlamaConfig config;
  private final int batch;
  private final int length;
  private final int response;

  /**
   * A case.
   *
   * @param batch rollouts of an update
   * @param length tokens of each, response included
   * @param response tokens of each that belong to the response
   */
  UpdateBench(Backend backend, LlamaConfig config, int batch, int length, int response) {
    if (response < 1 || response >= length) {
      throw new IllegalArgumentException(
          "--response must be at least 1 and below --length %d, not %d"
              .formatted(length, response));
    }
    this.backend = backend;
    this.config = config;
    this.batch = batch;
    this.length = length;
    this.response = response;
  }

  /**
   * Measures iterations after a warm-up.
   *
   * @param times counts kernels during the measured iterations
   */
  BenchLine run(int iterations, KernelTimes times) {
    double peak = Peak.flopsPerSecond(backend);
    List<PpoRollout> rollouts = rollouts();
    double[] seconds = new double[iterations];
    try (PpoTrainer trainer = trainer()) {
      WarmUp warmUp = new WarmUp();
      for (int i = 0; i < iterations; ) {
        boolean counts = !warmUp.goesOn();
        trainer.begin(rollouts);
        if (trainer.step().isPresent()) {
          throw new IllegalStateException("the trainer updated before it computed old values");
        }
        if (counts) {
          times.resume();
        }
        long start = System.nanoTime();
        if (trainer.step().isEmpty()) {
          throw new IllegalStateException("the trainer did not update with one mini-batch");
        }
        if (counts) {
          seconds[i++] = (System.nanoTime() - start) / 1e9;
          times.pause();
        }
      }
    }
    double trunk = Flops.trunk(config, batch, length - response - 1, length - 1);
    double flops = Flops.withBackward(2 * trunk + Flops.head(config, (long) batch * response));
    Map<String, Integer> lengths = new LinkedHashMap<>();
    lengths.put("batch", batch);
    lengths.put("length", length);
    lengths.put("response", response);
    return BenchLine.of("update", backend, config)
        .lengths(lengths)
        .seconds(seconds)
        .tokens((double) batch * length)
        .flops(flops)
        .peak(Math.max(peak, Peak.flopsPerSecond(backend)))
        .build();
  }

  private PpoTrainer trainer() {
    LanguageModel policy = LanguageModel.random(backend, config, SEED);
    ScalarModel critic = ScalarModel.onTrunkOf(backend, config, policy.weights());
    return new PpoTrainer(
        backend,
        policy,
        critic,
        new PpoSettings(
            batch,
            1,
            PiecewiseReward.defaults(),
            KlPenalty.defaults(),
            Advantages.defaults(),
            PpoObjective.defaults(),
            null,
            1,
            1,
            SEED,
            AdamW.llama2(),
            LearningRate.constant(1e-6),
            LearningRate.constant(1e-6)),
        KlController.fixed(KlController.DEFAULT_BETA));
  }

  private List<PpoRollout> rollouts() {
    SplittableRandom random = new SplittableRandom(SEED);
    List<PpoRollout> rollouts = new ArrayList<>();
    float[] logProbs = new float[response];
    Arrays.fill(logProbs, (float) -Math.log(config.vocabSize()));
    for (int i = 0; i < batch; i++) {
      rollouts.add(
          new PpoRollout(
              "r" + i,
              tokens(random, length - response),
              tokens(random, response),
              logProbs,
              logProbs,
              (float) random.nextGaussian(),
              (float) random.nextGaussian(),
              false,
              false,
              false));
    }
    return rollouts;
  }

  private int[] tokens(SplittableRandom random, int count) {
    return random.ints(count, 0, config.vocabSize()).toArray();
  }
}
