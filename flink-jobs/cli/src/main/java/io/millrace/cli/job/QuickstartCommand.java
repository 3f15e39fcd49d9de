package io.millrace.cli.job;

import io.millrace.cli.option.UserException;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.console.Console;
import io.millrace.console.ConsoleSection;
import io.millrace.demo.loop.Progress;
import io.millrace.demo.quickstart.Quickstart;
import io.millrace.demo.quickstart.QuickstartSettings;
import io.millrace.demo.quickstart.Reports;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.world.Difficulty;
import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code millrace quickstart}. */
@Command(
    name = "quickstart",
    mixinStandardHelpOptions = true,
    description = {
      "Runs the whole RLHF loop in this process, on Kafka and Flink, and prints whether the policy"
          + " improved. It takes a few minutes and needs no service, download or GPU.",
    },
    footer = {
      "",
      "Examples:",
      "  millrace quickstart",
      "  millrace quickstart --seed 2 --fail-at-rollout 2000",
      "  millrace quickstart --world hard --adversarial 0.2",
    })
public final class QuickstartCommand implements Callable<Integer> {

  @Option(
      names = "--seed",
      defaultValue = "1",
      description =
          "Seed of the demo world, the weights and all sampling (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(
      names = "--report",
      paramLabel = "FILE",
      description =
          "JSON file for the results, beside report.json in the run's directory (default: only"
              + " there).")
  private Path report;

  @Option(
      names = "--data",
      defaultValue = "millrace-data/quickstart",
      description = "Directory with one subdirectory for each run (default: ${DEFAULT-VALUE}).")
  private Path data;

  @Option(
      names = "--iterations",
      defaultValue = "60",
      description = "PPO iterations of 64 rollouts each (default: ${DEFAULT-VALUE}).")
  private int iterations;

  @Option(
      names = "--fail-at-rollout",
      defaultValue = "0",
      paramLabel = "N",
      description =
          "Make the PPO job fail once at its Nth rollout and recover (default: 0, never).")
  private long failAtRollout;

  @Option(
      names = "--versions-behind",
      defaultValue = "1",
      paramLabel = "N",
      description =
          "Staleness of the rollouts in policy versions: N > 0 samples while PPO learns, 0 waits"
              + " for each version (default: ${DEFAULT-VALUE}).")
  private int versionsBehind;

  /** The demo worlds. */
  enum World {
    PLAIN,
    HARD;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  @Option(
      names = "--world",
      defaultValue = "plain",
      paramLabel = "WORLD",
      description =
          "${COMPLETION-CANDIDATES}; hard has wrong flags and labels, hasty and adversarial"
              + " annotators, and tests on unseen tasks (default: ${DEFAULT-VALUE}).")
  private World world;

  @Option(
      names = "--adversarial",
      paramLabel = "SHARE",
      description =
          "Share of the hard world's judgments by adversarial annotators, from 0 to 0.5 (default:"
              + " 0.1).")
  private Double adversarial;

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description =
          "Replace an option of the quickstart's jobs, such as compute.backend=torch; may be given"
              + " more than once.")
  private List<String> options = new ArrayList<>();

  @Option(names = "--keep-running", description = "Keep Kafka running at the end, until Ctrl-C.")
  private boolean keepRunning;

  @Option(
      names = "--no-console",
      description = "Start no console (docs/console.md) beside the loop.")
  private boolean noConsole;

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
    Difficulty difficulty = difficulty();
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
        QuickstartSettings.builder(seed, directory)
            .iterations(iterations)
            .failAtRollout(failAtRollout)
            .versionsBehind(versionsBehind)
            .world(difficulty)
            .options(jobOptions())
            .build();
    Progress progress = new Progress(System.out);
    Quickstart.Neighbour neighbour =
        noConsole ? (_, _) -> () -> {} : (config, kafka) -> console(config, kafka, progress);
    new Quickstart(settings, progress)
        .run(
            neighbour,
            (finished, bootstrapServers) -> {
              Path json = directory.resolve("report.json");
              Reports.write(finished, json);
              Reports.print(finished, json, System.out);
              if (report != null) {
                Reports.write(finished, report);
              }
              if (keepRunning) {
                System.out.println("Kafka runs at " + bootstrapServers + "; stop it with Ctrl-C");
                new CountDownLatch(1).await();
              }
            });
    return 0;
  }

  /** Several quickstarts may run on one machine: each console has a free port. */
  private List<String> jobOptions() {
    List<String> all = new ArrayList<>(List.of("console.port=0"));
    all.addAll(options);
    return all;
  }

  /** Starts a console, and prints its address. */
  static Closeable console(MillraceConfig config, KafkaSettings kafka, Progress progress)
      throws IOException {
    Console console =
        Console.start(
            config.section(ConsoleSection.class), kafka, System.getenv(), Clock.systemUTC());
    progress.line("console at " + console.address());
    return console::close;
  }

  private Difficulty difficulty() {
    if (world == World.PLAIN) {
      if (adversarial != null) {
        throw new UserException(
            "--adversarial %s needs --world hard; the plain world has no adversarial annotators"
                .formatted(adversarial));
      }
      return Difficulty.PLAIN;
    }
    double share = adversarial == null ? Difficulty.ADVERSARIAL : adversarial;
    if (!(share >= 0 && share <= Difficulty.MOST_ADVERSARIAL)) {
      throw new UserException(
          "--adversarial must be from 0 to %s, not %s"
              .formatted(Difficulty.MOST_ADVERSARIAL, share));
    }
    return Difficulty.hard(share);
  }

  /** Checks the report file before the work starts. */
  private static void requireWritable(Path file) {
    Path parent = file.toAbsolutePath().getParent();
    if (Files.isDirectory(file) || !Files.isDirectory(parent) || !Files.isWritable(parent)) {
      throw new UserException(
          "--report must be a file in a writable directory, not %s".formatted(file));
    }
  }
}
