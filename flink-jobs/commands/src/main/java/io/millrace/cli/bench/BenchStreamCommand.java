package io.millrace.cli.bench;

import io.millrace.cli.option.ShapeOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.runtime.LocalCluster;
import io.millrace.schemas.Objective;
import io.millrace.schemas.RewardCheckpoint;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code millrace bench stream}. */
@Command(
    name = "stream",
    mixinStandardHelpOptions = true,
    description = {
      "Line 1 compares the PPO job, from Kafka to published versions with Flink checkpoints, with"
          + " scoring and updates alone on the same batches.",
      "Line 2 measures the time from a judgment to the announcement of a reward checkpoint that"
          + " learned from it."
    },
    footer = {"", "Example:", "  millrace bench stream --batch 64 --length 128"})
final class BenchStreamCommand implements Callable<Integer> {

  /** Longest dialogue of the demo world with a small vocabulary, in tokens. */
  private static final int JUDGMENT_TOKENS = 512;

  private static final int SLOTS = 4;

  @Mixin private ShapeOptions shape;

  @Option(
      names = "--batch",
      defaultValue = "64",
      description = "Rollouts of an iteration (default: ${DEFAULT-VALUE}).")
  private int batch;

  @Option(
      names = "--mini-batch",
      defaultValue = "16",
      description = "Rollouts of an update (default: ${DEFAULT-VALUE}).")
  private int miniBatch;

  @Option(
      names = "--length",
      defaultValue = "128",
      description = "Tokens of each rollout, prompt and response (default: ${DEFAULT-VALUE}).")
  private int length;

  @Option(
      names = "--response",
      paramLabel = "N",
      description = "Tokens of each response (default: half of --length).")
  private Integer response;

  @Option(
      names = "--iterations",
      defaultValue = "4",
      description =
          "PPO iterations of a repetition, after one for warm-up (default: ${DEFAULT-VALUE}).")
  private int iterations;

  @Option(
      names = "--repetitions",
      defaultValue = "3",
      description = "Repetitions of both measurements (default: ${DEFAULT-VALUE}).")
  private int repetitions;

  @Option(
      names = "--checkpoint-interval",
      defaultValue = "5s",
      description = "Time between Flink checkpoints (default: ${DEFAULT-VALUE}).")
  private String interval;

  @Option(
      names = "--judgments",
      defaultValue = "480",
      description = "Judgments to measure; 0 skips line 2 (default: ${DEFAULT-VALUE}).")
  private int judgments;

  @Option(
      names = "--judgments-per-second",
      defaultValue = "16",
      description = "Judgments sent each second (default: ${DEFAULT-VALUE}).")
  private int judgmentsPerSecond;

  @Override
  public Integer call() throws Exception {
    ShapeOptions.require("--batch", batch);
    ShapeOptions.require("--mini-batch", miniBatch);
    ShapeOptions.require("--iterations", iterations);
    ShapeOptions.require("--repetitions", repetitions);
    ShapeOptions.require("--judgments-per-second", judgmentsPerSecond);
    if (judgments < 0) {
      throw new UserException("--judgments must be at least 0, not " + judgments);
    }
    int learned = response == null ? length / 2 : response;
    if (learned < 1 || learned >= length) {
      throw new UserException(
          "--response must be at least 1 and below --length %d, not %d".formatted(length, learned));
    }
    Path directory = Files.createTempDirectory("millrace-bench");
    try (EmbeddedBroker broker = EmbeddedBroker.start(directory.resolve("kafka"), 0);
        LocalCluster cluster = LocalCluster.start(SLOTS)) {
      String initial = InitialModel.ensure(config(broker, directory, "initial")).model().initial();
      Map<Objective, RewardCheckpoint> models =
          RewardModels.write(config(broker, directory, "initial").withInitial(initial), directory);
      System.out.println(
          new StreamBench(
                  repetition -> config(broker, directory, "r" + repetition).withInitial(initial),
                  cluster,
                  models,
                  iterations,
                  length,
                  learned)
              .run(repetitions)
              .toJson());
      if (judgments > 0) {
        System.out.println(
            new JudgmentBench(config(broker, directory, "judgments").withInitial(initial), cluster)
                .run(judgments, judgmentsPerSecond)
                .toJson());
      }
    } finally {
      delete(directory);
    }
    return 0;
  }

  /** A configuration whose topics and checkpoints have their own name. */
  private MillraceConfig config(EmbeddedBroker broker, Path directory, String name) {
    List<String> settings = new ArrayList<>(shape.settings(Math.max(length, JUDGMENT_TOKENS)));
    settings.addAll(
        List.of(
            "kafka.bootstrap-servers=" + broker.bootstrapServers(),
            "kafka.topic-prefix=" + name + ".",
            "checkpoints.directory=" + directory.resolve(name),
            "checkpoints.other-roots=" + directory,
            "checkpoints.keep=2",
            "checkpoints.keep-for=0ms",
            "flink.state-directory=" + directory.resolve("flink"),
            "flink.checkpoint-interval=" + interval,
            "ppo.batch-size=" + batch,
            "ppo.mini-batch-size=" + miniBatch,
            "ppo.require-consistent=false",
            "ppo.score-batch-size=" + Math.min(batch, 64),
            "reward-model.objectives=helpfulness",
            "reward-model.batch-size=16",
            "reward-model.publish-every=16"));
    return ConfigLoader.load(Optional.empty(), settings);
  }

  private static void delete(Path directory) throws IOException {
    try (Stream<Path> paths = Files.walk(directory)) {
      for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }
}
