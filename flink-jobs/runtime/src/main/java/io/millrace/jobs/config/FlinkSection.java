package io.millrace.jobs.config;

import java.time.Duration;
import java.util.Map;
import java.util.TreeSet;

/** How Flink runs the jobs. */
public record FlinkSection(
    @Option(
            value = "millrace-data/flink",
            help = "Directory of the Flink checkpoints from which a job resumes.",
            required = true,
            path = true)
        String stateDirectory,
    @Option(
            value = "5s",
            help =
                "Time between Flink checkpoints. Readers see rollouts, metrics and published"
                    + " versions when the next Flink checkpoint completes.",
            min = "10ms",
            max = "1d")
        Duration checkpointInterval,
    @Option(
            value = "1",
            help =
                "Parallel instances of the operators that validate, sample and score; 32768 is"
                    + " Flink's own limit.",
            min = "1",
            max = "32768")
        int parallelism,
    @Option(
            value = "30",
            help =
                "Restarts in a row before a failing job gives up. Ten minutes without a failure"
                    + " reset the count.",
            min = "1",
            max = "1_000_000")
        int restartAttempts,
    @Option(
            value = "1s",
            help =
                "Pause before the first restart. Each further failure makes the pause half as long"
                    + " again, up to one minute.",
            min = "1ms",
            max = "1m")
        Duration restartDelay,
    @Option(
            value = "",
            help =
                "Settings of Flink's processes, such as `s3.endpoint`, for `millrace run`,"
                    + " `cluster` and `submit`. `${env:NAME}` and `${file:PATH}` work as in"
                    + " `kafka.properties`.")
        Map<String, String> properties)
    implements ConfigSection {

  /** The longest pause between restarts: jobs outlast a broker that is away for minutes. */
  public static final Duration LONGEST_DELAY = Duration.ofMinutes(1);

  /** Options of Flink that this section sets. */
  private static final Map<String, String> OWN_OPTIONS =
      Map.of(
          "execution.checkpointing.interval", "checkpoint-interval",
          "execution.checkpointing.dir", "state-directory",
          "parallelism.default", "parallelism",
          "restart-strategy.type", "restart-attempts",
          "restart-strategy.exponential-delay.attempts-before-reset-backoff", "restart-attempts",
          "restart-strategy.exponential-delay.initial-backoff", "restart-delay");

  public FlinkSection {
    properties = Map.copyOf(properties);
    for (String key : new TreeSet<>(properties.keySet())) {
      if (OWN_OPTIONS.containsKey(key)) {
        throw new IllegalArgumentException(
            "properties.%s has an option of its own; set flink.%s instead"
                .formatted(key, OWN_OPTIONS.get(key)));
      }
    }
  }

  /** The properties with the content of their references. */
  public Map<String, String> resolvedProperties() {
    return References.resolve(properties);
  }

  FlinkSection withStateDirectory(String directory) {
    return new FlinkSection(
        directory, checkpointInterval, parallelism, restartAttempts, restartDelay, properties);
  }

  FlinkSection withoutProperties() {
    return new FlinkSection(
        stateDirectory, checkpointInterval, parallelism, restartAttempts, restartDelay, Map.of());
  }

  /** Names the properties only; their values may be secrets. */
  @Override
  public String toString() {
    return "FlinkSection[stateDirectory=%s, checkpointInterval=%s, parallelism=%d, restartAttempts=%d, restartDelay=%s, properties=%s]"
        .formatted(
            stateDirectory,
            checkpointInterval,
            parallelism,
            restartAttempts,
            restartDelay,
            new TreeSet<>(properties.keySet()));
  }
}
