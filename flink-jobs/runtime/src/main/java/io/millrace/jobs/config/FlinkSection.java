package io.millrace.jobs.config;

import java.time.Duration;
import java.util.Map;
import java.util.TreeSet;

/** How Flink runs the jobs. */
public record FlinkSection(
    @Option(
            value = "millrace-data/flink",
            help =
                "Directory of Flink checkpoints, the state that a job resumes from: a path or a"
                    + " URI.",
            required = true,
            path = true)
        String stateDirectory,
    @Option(
            value = "5s",
            help =
                "Time between Flink checkpoints: what is sampled, learned or published becomes"
                    + " visible to others with the next one.",
            min = "10ms")
        Duration checkpointInterval,
    @Option(value = "1", help = "Parallel instances of validation and rollout.", min = "1")
        int parallelism,
    @Option(
            value = "30",
            help =
                "Restarts of a failing job, one after the other, before it gives up; ten minutes"
                    + " without a failure start the count anew.",
            min = "0")
        int restartAttempts,
    @Option(
            value = "1s",
            help =
                "Time between a failure and the restart, from 1ms to 1m; half as much longer with"
                    + " each failure that follows, up to a minute.",
            min = "1ms",
            max = "1m")
        Duration restartDelay,
    @Option(
            value = "",
            help =
                "Settings of Flink's processes, such as s3.endpoint and s3.access-key: millrace"
                    + " run, cluster and submit take them. In a value, `${env:NAME}` and"
                    + " `${file:PATH}` as in kafka.properties.")
        Map<String, String> properties)
    implements ConfigSection {

  /** A broker that is away for some minutes shall find the jobs still trying. */
  public static final Duration LONGEST_DELAY = Duration.ofMinutes(1);

  private static final Map<String, String> OWN_OPTIONS =
      Map.of(
          "execution.checkpointing.interval", "checkpoint-interval",
          "execution.checkpointing.dir", "state-directory",
          "parallelism.default", "parallelism",
          "restart-strategy.type", "restart-attempts");

  public FlinkSection {
    properties = Map.copyOf(properties);
    for (String key : new TreeSet<>(properties.keySet())) {
      if (OWN_OPTIONS.containsKey(key)) {
        throw new IllegalArgumentException(
            "properties.%s is what flink.%s is for".formatted(key, OWN_OPTIONS.get(key)));
      }
    }
  }

  FlinkSection withoutProperties() {
    return new FlinkSection(
        stateDirectory, checkpointInterval, parallelism, restartAttempts, restartDelay, Map.of());
  }

  /** Names the properties only: there may be secrets among their values. */
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
