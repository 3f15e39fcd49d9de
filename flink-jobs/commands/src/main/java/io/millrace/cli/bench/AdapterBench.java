package io.millrace.cli.bench;

import io.millrace.model.llama.ActivationMemory;
import io.millrace.model.llama.AdapterConfig;
import io.millrace.model.llama.FrozenWeights;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.MemoryPlan;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.llama.Targets;
import io.millrace.model.llama.Weights;
import io.millrace.model.ppo.PpoRollout;
import io.millrace.model.ppo.PpoTrainer;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Precision;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.IntStream;

/**
 * A batch of rollouts as the PPO job treats it when adapters are trained: two reward models and the
 * reference policy score it, then policy and critic learn from it in one update. The operator that
 * scores and the one that updates have a backend each. They share the frozen base if the backend
 * can share tensors.
 */
final class AdapterBench {

  private static final long SEED = 1;
  private static final double MIB = 1 << 20;

  private final Supplier<Backend> backends;
  private final Precision precision;
  private final LlamaConfig config;
  private final BatchShape shape;
  private final AdapterConfig adapter;
  private final ActivationMemory memory;

  AdapterBench(
      Supplier<Backend> backends,
      Precision precision,
      LlamaConfig config,
      BatchShape shape,
      AdapterConfig adapter,
      ActivationMemory memory) {
    this.backends = backends;
    this.precision = precision;
    this.config = config;
    this.shape = shape;
    this.adapter = adapter;
    this.memory = memory;
  }

  /** Measures iterations after a warm-up. */
  BenchLine run(int iterations) {
    try (Backend update = backends.get();
        Backend score = backends.get()) {
      double peak = Peak.flopsPerSecond(update);
      long before = update.bytes();
      long taken;
      FrozenWeights base = base(update);
      FrozenWeights scoring = base.share();
      double[] seconds = new double[iterations];
      try (ScalarModel helpfulness = scalar(score, scoring);
          ScalarModel safety = scalar(score, scoring.share());
          LanguageModel reference =
              new LanguageModel(score, config, Weights.frozen(scoring.share()));
          PpoTrainer trainer =
              UpdateBench.trainer(
                  update, policy(update, base.share()), scalar(update, base), shape)) {
        List<PpoRollout> rollouts = UpdateBench.rollouts(config, shape);
        WarmUp warmUp = new WarmUp();
        for (int i = 0; i < iterations; ) {
          boolean counts = !warmUp.goesOn();
          long start = System.nanoTime();
          score(rollouts, reference, helpfulness, safety);
          double scored = (System.nanoTime() - start) / 1e9;
          double updated = UpdateBench.secondsOfAnUpdate(trainer, rollouts);
          if (counts) {
            seconds[i++] = scored + updated;
          }
        }
        taken = update.bytes() - before;
      }
      return BenchLine.of("adapters", update, config)
          .lengths(shape.lengths())
          .seconds(seconds)
          .tokens((double) shape.batch() * shape.length())
          .flops(flops())
          .peak(Math.max(peak, Peak.flopsPerSecond(update)))
          .more("rank", adapter.rank())
          .more("memory_mib", taken / MIB)
          .more("planned_memory_mib", planned() / MIB)
          .build();
    }
  }

  /** Weights without meaning: 8 billion random numbers of their own would take minutes. */
  private FrozenWeights base(Backend backend) {
    return FrozenWeights.of(
        backend,
        config.parameters(),
        (spec, tensor) -> {
          if (spec.decay()) {
            Peak.randomize(tensor, 0.02);
          } else {
            Peak.fill(tensor, 1);
          }
        });
  }

  private LanguageModel policy(Backend backend, FrozenWeights base) {
    LanguageModel policy =
        new LanguageModel(
            backend,
            config,
            Weights.adapter(
                base, adapter, Weights.initial(backend, adapter.parameters(config), SEED)));
    policy.useMemory(memory);
    return policy;
  }

  private ScalarModel scalar(Backend backend, FrozenWeights base) {
    ScalarModel model =
        new ScalarModel(
            backend,
            config,
            Weights.adapter(
                base, adapter, Weights.initial(backend, adapter.scalarParameters(config), SEED)));
    model.useMemory(memory);
    return model;
  }

  /** A micro-batch at a time, as many sequences as fit it. */
  private void score(
      List<PpoRollout> rollouts,
      LanguageModel reference,
      ScalarModel helpfulness,
      ScalarModel safety) {
    int part = sequencesOfAPart();
    for (int from = 0; from < rollouts.size(); from += part) {
      List<int[]> sequences =
          rollouts.subList(from, Math.min(rollouts.size(), from + part)).stream()
              .map(
                  one ->
                      IntStream.concat(IntStream.of(one.prompt()), IntStream.of(one.response()))
                          .toArray())
              .toList();
      int[] first = new int[sequences.size()];
      Arrays.fill(first, shape.length() - shape.response());
      float sum = helpfulness.score(sequences)[0] + safety.score(sequences)[0];
      sum += reference.infer(sequences, Targets.from(sequences, first), 1).logProbs()[0];
      if (!Float.isFinite(sum)) {
        throw new IllegalStateException("a score is not finite");
      }
    }
  }

  private int sequencesOfAPart() {
    return Math.clamp(memory.partTokens(config) / shape.length(), 1, shape.batch());
  }

  private long planned() {
    int sequences = sequencesOfAPart();
    return MemoryPlan.of(
            config,
            new MemoryPlan.Settings(
                Optional.of(adapter),
                precision,
                sequences * shape.length(),
                sequences * shape.response(),
                memory.recompute(),
                0,
                0,
                true,
                1))
        .total();
  }

  /** Frozen weights have no gradient, so their backward pass has one product for each one. */
  private double flops() {
    int length = shape.length();
    int response = shape.response();
    int batch = shape.batch();
    double head = Flops.head(config, (long) batch * response);
    double trunk = Flops.trunk(config, batch, length - response - 1, length - 1);
    double score = 2 * Flops.trunk(config, batch, length - 1, length) + trunk + head;
    return score + 2 * (2 * trunk + head);
  }
}
