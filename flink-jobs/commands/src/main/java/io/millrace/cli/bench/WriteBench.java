package io.millrace.cli.bench;

import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.ppo.AdvantageMethod;
import io.millrace.model.ppo.PpoTrainer;
import io.millrace.model.tensor.Backend;
import io.millrace.schemas.state.CopyBudget;
import io.millrace.schemas.state.StateSnapshot;
import java.io.BufferedOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * How long training stands still while the state of a PPO trainer is written to a file, as for a
 * Flink checkpoint: without copies, and with copies that are written afterwards. The two alternate.
 */
final class WriteBench {

  private final Backend backend;
  private final LlamaConfig config;
  private final BatchShape shape;

  WriteBench(Backend backend, LlamaConfig config, BatchShape shape) {
    this.backend = backend;
    this.config = config;
    this.shape = shape;
  }

  private record Times(double still, double whole) {}

  String run(int repetitions) throws IOException {
    Path file = Files.createTempFile("millrace-bench", ".state");
    double[] waiting = new double[repetitions];
    double[] still = new double[repetitions];
    double[] whole = new double[repetitions];
    try (PpoTrainer trainer =
            new UpdateBench(backend, config, shape, AdvantageMethod.GAE).trainer();
        CopyBudget none = new CopyBudget(0);
        CopyBudget copies = new CopyBudget(Long.MAX_VALUE)) {
      Times _ = write(trainer, none, file);
      Times _ = write(trainer, copies, file);
      for (int i = 0; i < repetitions; i++) {
        waiting[i] = write(trainer, none, file).whole();
        Times copied = write(trainer, copies, file);
        still[i] = copied.still();
        whole[i] = copied.whole();
      }
      return new StreamLine("write")
          .put("backend", backend.name())
          .put("state_mib", Files.size(file) / (double) (1 << 20))
          .put("seconds_without_copies", StreamLine.quantile(waiting, 0.5))
          .put("seconds_still_with_copies", StreamLine.quantile(still, 0.5))
          .put("seconds_with_copies", StreamLine.quantile(whole, 0.5))
          .toJson();
    } finally {
      Files.delete(file);
    }
  }

  private static Times write(PpoTrainer trainer, CopyBudget budget, Path file) throws IOException {
    long start = System.nanoTime();
    double still;
    try (DataOutputStream out =
            new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(file), 1 << 16));
        StateSnapshot snapshot = StateSnapshot.take(out, trainer::write, budget)) {
      still = (System.nanoTime() - start) / 1e9;
      snapshot.finish();
    }
    return new Times(still, (System.nanoTime() - start) / 1e9);
  }
}
