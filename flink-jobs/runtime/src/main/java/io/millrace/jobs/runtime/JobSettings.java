package io.millrace.jobs.runtime;

import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.connectors.checkpoint.store.Retention;
import io.millrace.connectors.flink.source.Sources.Bound;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.jobs.config.CheckpointSection;
import io.millrace.jobs.config.FlinkSection;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.CheckpointOutline;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.ExternalizedCheckpointRetention;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.core.execution.CheckpointingMode;

/** What a configuration means for Flink and Kafka. */
public final class JobSettings {

  private static final Duration UNTIL_FORGOTTEN = Duration.ofMinutes(10);

  private JobSettings() {}

  public static KafkaSettings kafka(MillraceConfig config) {
    return config.kafka().settings().with(config.schema().wire());
  }

  public static CheckpointStore store(MillraceConfig config) {
    return new CheckpointStore(
        config.checkpoints().directory(), config.checkpoints().cacheDirectory());
  }

  /** Checkpoints of any place as directories of this machine. */
  public static CheckpointCache cache(MillraceConfig config) {
    CheckpointSection section = config.checkpoints();
    return new CheckpointCache(section.cacheDirectory(), section.cacheSize().getBytes());
  }

  /** Which versions stay; the policy that jobs start from does, and the base below its adapter. */
  static Retention retention(MillraceConfig config) {
    CheckpointSection section = config.checkpoints();
    List<String> pinned = new ArrayList<>(List.of(config.model().initial()));
    if (config.model().adapter().config().isPresent() && !config.model().initial().isBlank()) {
      try (LocalCheckpoint initial = cache(config).openDescription(config.model().initial())) {
        CheckpointOutline.read(initial.directory())
            .base()
            .map(CheckpointManifest.Base::uri)
            .ifPresent(pinned::add);
      } catch (IOException e) {
        throw new UncheckedIOException("model.initial cannot be read: " + e.getMessage(), e);
      }
    }
    return new Retention(section.keep(), section.keepEvery(), section.keepFor(), pinned);
  }

  /** Whether a job's input ends. */
  static Bound bound(boolean bounded) {
    return bounded ? Bound.CURRENT_END : Bound.UNBOUNDED;
  }

  private static String uri(String location) {
    return CheckpointStore.isLocal(location)
        ? CheckpointStore.localPath(location).toAbsolutePath().toUri().toString()
        : location;
  }

  /** What {@code millrace status} needs to know of a job; Flink's web UI shows it. */
  public static Map<String, String> parameters(MillraceConfig config, String job) {
    return Map.of(
        JobParameters.JOB, job,
        JobParameters.RUN, config.flink().stateDirectory(),
        JobParameters.BOOTSTRAP_SERVERS, config.kafka().bootstrapServers(),
        JobParameters.TOPIC_PREFIX, config.kafka().topicPrefix(),
        JobParameters.MODEL, config.model().name(),
        JobParameters.CHECKPOINTS, config.checkpoints().directory());
  }

  /** Exactly-once Flink checkpoints on disk, and restarts from them. */
  public static Configuration flink(FlinkSection flink) {
    Configuration configuration = new Configuration();
    configuration.set(CheckpointingOptions.CHECKPOINTING_INTERVAL, flink.checkpointInterval());
    configuration.set(
        CheckpointingOptions.CHECKPOINTING_CONSISTENCY_MODE, CheckpointingMode.EXACTLY_ONCE);
    // Barriers overtake records that wait for an operator which learns (Edges); those records are
    // part of the Flink checkpoint then.
    configuration.set(CheckpointingOptions.ENABLE_UNALIGNED, true);
    configuration.set(CheckpointingOptions.ALIGNED_CHECKPOINT_TIMEOUT, Duration.ZERO);
    configuration.set(CheckpointingOptions.CHECKPOINT_STORAGE, "filesystem");
    configuration.set(CheckpointingOptions.CHECKPOINTS_DIRECTORY, uri(flink.stateDirectory()));
    configuration.set(CheckpointingOptions.CHECKPOINTING_TIMEOUT, Duration.ofMinutes(10));
    configuration.set(
        CheckpointingOptions.EXTERNALIZED_CHECKPOINT_RETENTION,
        ExternalizedCheckpointRetention.RETAIN_ON_CANCELLATION);
    // Every record type has a serializer of its own: falling back to Kryo would be a mistake.
    configuration.set(PipelineOptions.GENERIC_TYPES, false);
    configuration.set(RestartStrategyOptions.RESTART_STRATEGY, "exponential-delay");
    configuration.set(
        RestartStrategyOptions.RESTART_STRATEGY_EXPONENTIAL_DELAY_INITIAL_BACKOFF,
        flink.restartDelay());
    configuration.set(
        RestartStrategyOptions.RESTART_STRATEGY_EXPONENTIAL_DELAY_MAX_BACKOFF,
        FlinkSection.LONGEST_DELAY);
    configuration.set(
        RestartStrategyOptions.RESTART_STRATEGY_EXPONENTIAL_DELAY_RESET_BACKOFF_THRESHOLD,
        UNTIL_FORGOTTEN);
    configuration.set(
        RestartStrategyOptions.RESTART_STRATEGY_EXPONENTIAL_DELAY_ATTEMPTS,
        flink.restartAttempts());
    return configuration;
  }
}
