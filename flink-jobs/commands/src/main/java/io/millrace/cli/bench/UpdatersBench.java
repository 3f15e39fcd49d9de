package io.millrace.cli.bench;

import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.parallel.Ranks;
import io.millrace.model.parallel.StarRanks;
import io.millrace.model.ppo.AdvantageMethod;
import io.millrace.model.ppo.PpoRollout;
import io.millrace.model.ppo.PpoTrainer;
import io.millrace.model.tensor.Backend;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Supplier;

/**
 * One PPO update by several updaters, each on a thread and a backend of this process, with
 * exchanges over the loopback interface. The clock is that of the first one.
 */
final class UpdatersBench {

  private static final Duration PATIENCE = Duration.ofMinutes(10);
  private static final double MIB = 1 << 20;

  private final Supplier<Backend> backends;
  private final LlamaConfig config;
  private final BatchShape shape;
  private final boolean sharded;

  /**
   * @param sharded {@code ppo.shard-optimizer}, for more than one updater
   */
  UpdatersBench(Supplier<Backend> backends, LlamaConfig config, BatchShape shape, boolean sharded) {
    this.backends = backends;
    this.config = config;
    this.shape = shape;
    this.sharded = sharded;
  }

  /** Measures iterations after a warm-up. */
  BenchLine run(int updaters, int iterations) throws IOException {
    try (Backend backend = backends.get()) {
      double peak = Peak.flopsPerSecond(backend);
      Times times = new Times(iterations);
      if (updaters == 1) {
        learn(Ranks.alone(), times);
      } else {
        together(updaters, times);
      }
      double all = 0;
      for (double second : times.seconds) {
        all += second;
      }
      return BenchLine.of("updaters", backend, config)
          .lengths(shape.lengths())
          .seconds(times.seconds)
          .tokens((double) shape.batch() * shape.length())
          .flops(UpdateBench.flops(config, shape, AdvantageMethod.GAE))
          .peak(Math.max(peak, Peak.flopsPerSecond(backend)))
          .more("updaters", updaters)
          .more("sharded", updaters > 1 && sharded ? 1 : 0)
          .more("exchange_share", times.exchangeNanos / 1e9 / all)
          .more("exchanged_mib", times.exchangedBytes / MIB / iterations)
          .build();
    }
  }

  /** What the first updater measured. */
  private static final class Times {
    private final double[] seconds;
    private double exchangeNanos;
    private double exchangedBytes;

    Times(int iterations) {
      this.seconds = new double[iterations];
    }
  }

  private void together(int updaters, Times times) throws IOException {
    List<StarRanks> all = List.of();
    try (ExecutorService threads = Executors.newFixedThreadPool(updaters)) {
      all = StarRanks.inThisProcess(updaters, PATIENCE);
      List<Future<?>> running = new ArrayList<>();
      for (StarRanks ranks : all) {
        running.add(
            threads.submit(
                () -> {
                  // One that fails must not leave the others waiting.
                  try (ranks) {
                    learn(ranks, times);
                  }
                }));
      }
      for (Future<?> rank : running) {
        rank.get();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    } catch (ExecutionException e) {
      throw new IOException("an updater failed: " + e.getCause(), e);
    } finally {
      all.forEach(Ranks::close);
    }
  }

  /** The first updater says when the measurement ends. */
  private void learn(Ranks ranks, Times times) {
    List<PpoRollout> rollouts = UpdateBench.rollouts(config, shape);
    try (Backend backend = backends.get();
        PpoTrainer trainer =
            UpdateBench.trainer(backend, config, shape, ranks, !ranks.isAlone() && sharded)) {
      WarmUp warmUp = new WarmUp();
      int done = 0;
      while (ranks.ofFirst(done < times.seconds.length ? 1 : 0) > 0) {
        boolean counts = ranks.rank() == 0 && !warmUp.goesOn();
        trainer.begin(rollouts);
        UpdateBench.computeOldValues(trainer);
        long nanos = ranks.exchangeNanos();
        long bytes = ranks.exchangedBytes();
        double seconds = UpdateBench.update(trainer);
        if (counts) {
          times.seconds[done++] = seconds;
          times.exchangeNanos += ranks.exchangeNanos() - nanos;
          times.exchangedBytes += ranks.exchangedBytes() - bytes;
        }
      }
    }
  }
}
