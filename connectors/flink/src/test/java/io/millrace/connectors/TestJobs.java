package io.millrace.connectors;

import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** Local Flink environments with a Flink checkpoint every 200 ms and immediate restarts. */
public final class TestJobs {
  private TestJobs() {}

  public static StreamExecutionEnvironment environment(Path flinkCheckpoints, int parallelism) {
    Configuration configuration = new Configuration();
    configuration.set(CheckpointingOptions.CHECKPOINTING_INTERVAL, Duration.ofMillis(200));
    configuration.set(
        CheckpointingOptions.CHECKPOINTS_DIRECTORY, flinkCheckpoints.toUri().toString());
    configuration.set(RestartStrategyOptions.RESTART_STRATEGY, "fixed-delay");
    configuration.set(RestartStrategyOptions.RESTART_STRATEGY_FIXED_DELAY_ATTEMPTS, 2);
    configuration.set(
        RestartStrategyOptions.RESTART_STRATEGY_FIXED_DELAY_DELAY, Duration.ofMillis(1));
    return StreamExecutionEnvironment.createLocalEnvironment(parallelism, configuration);
  }

  /** Once armed, fails at the next record that contains a text. Passes on all other records. */
  public static final class FailOnce<T> implements MapFunction<T, T> {
    private static final long serialVersionUID = 1L;

    private static final AtomicBoolean ARMED = new AtomicBoolean();

    private final String text;

    public FailOnce(String text) {
      this.text = text;
    }

    public static void arm() {
      ARMED.set(true);
    }

    /** Whether the failure has not happened yet. */
    public static boolean armed() {
      return ARMED.get();
    }

    @Override
    public T map(T value) {
      if (value.toString().contains(text) && ARMED.compareAndSet(true, false)) {
        throw new IllegalStateException("induced failure");
      }
      return value;
    }
  }
}
