package io.millrace.serve.follow;

import io.millrace.connectors.checkpoint.PolicyCheckpoints;
import io.millrace.connectors.checkpoint.PolicyVersion;
import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.serve.metrics.ServeMetrics;
import io.millrace.serve.sampling.Lane;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Gives each served model its versions. */
public final class Follower implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(Follower.class);

  private final CheckpointCache cache;
  private final ServeMetrics metrics;
  private final List<PolicyCheckpoints> watched = new ArrayList<>();

  /**
   * @param cache opens checkpoints of any place
   */
  public Follower(CheckpointCache cache, ServeMetrics metrics) {
    this.cache = cache;
    this.metrics = metrics;
  }

  /**
   * Loads a checkpoint once.
   *
   * @param location directory or URI
   */
  public void load(Lane lane, String location) throws IOException {
    try (LocalCheckpoint files = cache.open(location);
        CheckpointDirectory checkpoint = CheckpointDirectory.open(files.directory())) {
      Path name = files.directory().getFileName();
      lane.load(checkpoint, name == null ? "model" : name.toString());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("loading of " + location + " was interrupted", e);
    }
  }

  /**
   * Follows announcements from now on.
   *
   * @param model name of the published model
   * @param promotedOnly whether {@code promotions} is followed in place of {@code
   *     policy-checkpoints}
   * @param copies local directory for copies of the versions
   * @param roots whether an announced checkpoint may lie there
   */
  public void follow(
      Lane lane,
      KafkaSettings kafka,
      String model,
      boolean promotedOnly,
      Path copies,
      Predicate<String> roots) {
    PolicyCheckpoints.Builder policies =
        PolicyCheckpoints.builder()
            .kafka(kafka)
            .model(model)
            .directory(copies)
            .under(roots)
            .onSkipped(_ -> metrics.skipped(lane.id()))
            .skipOutdated();
    if (promotedOnly) {
      policies.promotedOnly();
    }
    watched.add(policies.watch(version -> load(lane, version)));
  }

  private void load(Lane lane, PolicyVersion version) {
    try (CheckpointDirectory checkpoint = CheckpointDirectory.open(version.directory())) {
      lane.load(checkpoint, version.announcement().getModel());
    } catch (IOException | RuntimeException e) {
      metrics.skipped(lane.id());
      LOG.warn(
          "{} stays at version {}: version {} cannot be served: {}",
          lane.id(),
          lane.version(),
          version.version(),
          e.getMessage(),
          e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() {
    watched.forEach(PolicyCheckpoints::close);
  }
}
