package io.millrace.cli.bench;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.parallel.Ranks;
import io.millrace.model.ppo.AdvantageMethod;
import io.millrace.model.ppo.Advantages;
import io.millrace.model.ppo.KlController;
import io.millrace.model.ppo.PpoRollout;
import io.millrace.model.ppo.PpoSettings;
import io.millrace.model.ppo.PpoTrainer;
import io.millrace.model.tensor.Backend;
import io.millrace.model.training.LearningRate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * One PPO update of policy and critic, if the method has one, with the job's own trainer: forward,
 * backward, clipping, AdamW. The clock starts after the computation of old values and advantages.
 */
final class UpdateBench {

  private static final long SEED = 1;

  private final Backend backend;
  private final LlamaConfig config;
  private final BatchShape shape;
  private final AdvantageMethod advantage;

  UpdateBench(Backend backend, LlamaConfig config, BatchShape shape, AdvantageMethod advantage) {
    this.advantage = advantage;
    this.backend = backend;
    this.config = config;
    this.shape = shape;
  }

  /**
   * Measures iterations after a warm-up.
   *
   * @param times counts kernels during the measured iterations
   */
  BenchLine run(int iterations, KernelTimes times) {
    double peak = Peak.flopsPerSecond(backend);
    List<PpoRollout> rollouts = rollouts(config, shape);
    double[] seconds = new double[iterations];
    try (PpoTrainer trainer = trainer()) {
      WarmUp warmUp = new WarmUp();
      for (int i = 0; i < iterations; ) {
        boolean counts = !warmUp.goesOn();
        trainer.begin(rollouts);
        computeOldValues(trainer);
        if (counts) {
          times.resume();
        }
        double taken = update(trainer);
        if (counts) {
          seconds[i++] = taken;
          times.pause();
        }
      }
    }
    double flops = flops(config, shape, advantage);
    return BenchLine.of("update", backend, config)
        .lengths(shape.lengths())
        .seconds(seconds)
        .tokens((double) shape.batch() * shape.length())
        .flops(flops)
        .peak(Math.max(peak, Peak.flopsPerSecond(backend)))
        .build();
  }

  /** Operations of an update that the model needs. */
  static double flops(LlamaConfig config, BatchShape shape, AdvantageMethod advantage) {
    double trunk =
        Flops.trunk(
            config, shape.batch(), shape.length() - shape.response() - 1, shape.length() - 1);
    return Flops.withBackward(
        (advantage.hasCritic() ? 2 : 1) * trunk
            + Flops.head(config, (long) shape.batch() * shape.response()));
  }

  static void computeOldValues(PpoTrainer trainer) {
    if (trainer.step().isPresent()) {
      throw new IllegalStateException("the trainer updated before it computed old values");
    }
  }

  /** One update, until the device has written the new weights. */
  static double update(PpoTrainer trainer) {
    Peak.await(trainer.policy().weights().flat());
    long start = System.nanoTime();
    if (trainer.step().isEmpty()) {
      throw new IllegalStateException("the trainer did not update with one mini-batch");
    }
    Peak.await(trainer.policy().weights().flat());
    return (System.nanoTime() - start) / 1e9;
  }

  /** Learns from a batch of one mini-batch and returns the seconds of its update. */
  static double secondsOfAnUpdate(PpoTrainer trainer, List<PpoRollout> rollouts) {
    trainer.begin(rollouts);
    computeOldValues(trainer);
    return update(trainer);
  }

  /** A trainer of random weights. The caller closes it. */
  PpoTrainer trainer() {
    LanguageModel policy = LanguageModel.random(backend, config, SEED);
    ScalarModel critic =
        advantage.hasCritic() ? ScalarModel.onTrunkOf(backend, config, policy.weights()) : null;
    return trainer(backend, policy, critic, shape, advantage, Ranks.alone(), false);
  }

  /** The trainer of one of several updaters, of the same random weights. The caller closes it. */
  static PpoTrainer trainer(
      Backend backend, LlamaConfig config, BatchShape shape, Ranks ranks, boolean sharded) {
    LanguageModel policy = LanguageModel.random(backend, config, SEED);
    return trainer(
        backend,
        policy,
        ScalarModel.onTrunkOf(backend, config, policy.weights()),
        shape,
        AdvantageMethod.GAE,
        ranks,
        sharded);
  }

  /** A trainer whose mini-batch is the whole batch. */
  static PpoTrainer trainer(
      Backend backend, LanguageModel policy, ScalarModel critic, BatchShape shape) {
    return trainer(backend, policy, critic, shape, AdvantageMethod.GAE, Ranks.alone(), false);
  }

  private static PpoTrainer trainer(
      Backend backend,
      LanguageModel policy,
      ScalarModel critic,
      BatchShape shape,
      AdvantageMethod advantage,
      Ranks ranks,
      boolean sharded) {
    return new PpoTrainer(
        backend,
        policy,
        critic,
        PpoSettings.builder()
            .miniBatchSize(shape.batch())
            .maxSkippedUpdates(1)
            .seed(SEED)
            .advantages(Advantages.of(advantage))
            .learningRate(LearningRate.constant(1e-6))
            .criticLearningRate(LearningRate.constant(1e-6))
            .build(),
        KlController.fixed(KlController.DEFAULT_BETA),
        ranks,
        sharded);
  }

  /** Rollouts of random tokens. */
  static List<PpoRollout> rollouts(LlamaConfig config, BatchShape shape) {
    SplittableRandom random = new SplittableRandom(SEED);
    List<PpoRollout> rollouts = new ArrayList<>();
    float[] logProbs = new float[shape.response()];
    Arrays.fill(logProbs, (float) -Math.log(config.vocabSize()));
    for (int i = 0; i < shape.batch(); i++) {
      rollouts.add(
          new PpoRollout(
              "r" + i,
              tokens(random, config, shape.length() - shape.response()),
              tokens(random, config, shape.response()),
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

  private static int[] tokens(SplittableRandom random, LlamaConfig config, int count) {
    return random.ints(count, 0, config.vocabSize()).toArray();
  }
}
