package io.millrace.cli.job;

import io.millrace.cli.option.UserException;
import io.millrace.demo.loop.Progress;
import io.millrace.demo.quickstart.Quickstart;
import io.millrace.demo.quickstart.QuickstartSettings;
import io.millrace.demo.quickstart.Reports;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code millrace quickstart}. */
@Command(
    name = "quickstart",
    mixinStandardHelpOptions = true,
    description = {
      "Runs the whole loop in this process, on Kafka and Flink, and shows whether the policy got"
          + " better. Needs no service, no download, no GPU; takes a few minutes.",
    },
    footer = {
      "",
      "Examples:",
      "  millrace quickstart --report report.json",
      "  millrace quickstart --seed 2 --fail-at-rollout 2000",
    })
public final class QuickstartCommand implements Callable<Integer> {

  @Option(
      names = "--seed",
      defaultValue = "1",
      description = "Of the world, the weights and all sampling (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(names = "--report", paramLabel = "FILE", description = "Write the table as JSON, too.")
  private Path report;

  @Option(
      names = "--data",
      defaultValue = "millrace-data/quickstart",
      description = "Directory in which each run gets its own (default: ${DEFAULT-VALUE}).")
  private Path data;

  @Option(
      names = "--iterations",
      defaultValue = "60",
      description = "PPO iterations of 64 rollouts (default: ${DEFAULT-VALUE}).")
  private int iterations;

  @Option(
      names = "--fail-at-rollout",
      defaultValue = "0",
      paramLabel = "N",
      description = "Make the PPO job fail once when its Nth rollout passes, to watch it recover.")
  private long failAtRollout;

  @Option(
      names = "--versions-behind",
      defaultValue = "1",
      paramLabel = "N",
      description =
          "Send prompts so early that rollouts are sampled N versions before the one that learns"
              + " from them; 0 makes the loop wait for each version (default: ${DEFAULT-VALUE}).")
  private int versionsBehind;

  @Option(names = "--keep-running", description = "Leave Kafka up afterwards, until Ctrl-C.")
  private boolean keepRunning;

  @Override
  public Integer call() throws Exception {
    if (iterations < 1) {
      throw new UserException("--iterations must be at least 1, not " + iterations);
    }
    if (failAtRollout < 0) {
      throw new UserException("--fail-at-rollout must be at least 0, not " + failAtRollout);
    }
    if (versionsBehind < 0) {
      throw new UserException("--versions-behind must be at least 0, not " + versionsBehind);
    }
    if (report != null) {
      requireWritable(report);
    }
    Path directory =
        data.resolve(
                LocalDateTime.now(ZoneId.systemDefault())
                        .format(DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss"))
                    + "-seed-"
                    + seed)
            .toAbsolutePath();
    QuickstartSettings settings =
        QuickstartSettings.standard(seed, directory)
            .withIterations(iterations)
            .withFailAtRollout(failAtRollout)
            .withVersionsBehind(versionsBehind);
    new Quickstart(settings, new Progress(System.out))
        .run(
            (finished, bootstrapServers) -> {
              Reports.print(finished, System.out);
              if (report != null) {
                Reports.write(finished, report);
              }
              if (keepRunning) {
                System.out.println("Kafka stays at " + bootstrapServers + "; stop with Ctrl-C");
                new CountDownLatch(1).await();
              }
            });
    return 0;
  }

  /** Told before the work, not after it. */
  private static void requireWritable(Path file) {
    Path parent = file.toAbsolutePath().getParent();
    if (Files.isDirectory(file) || !Files.isDirectory(parent) || !Files.isWritable(parent)) {
      throw new UserException("cannot write the report to " + file);
    }
  }
}
