package io.millrace.connectors.flink.checkpoint;

import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.Retirement;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.flink.api.connector.sink2.Committer;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.MetricGroup;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The second phase of publishing: makes the files visible, then announces them. Both steps may be
 * repeated, so a failure is thrown and the job restarts.
 *
 * <p>Then old versions are retired, but none of this batch: until the next Flink checkpoint, a job
 * that resumes commits the batch again.
 */
final class CheckpointCommitter implements Committer<StagedCheckpoint> {
  private static final Logger LOG = LoggerFactory.getLogger(CheckpointCommitter.class);

  private final CheckpointStore store;
  private final Announcer announcer;
  private final Retirement retirement;
  private final MetricGroup metrics;
  private final Counter announced;
  private final Map<String, Long> versions = new ConcurrentHashMap<>();

  CheckpointCommitter(
      CheckpointStore store, Announcer announcer, Retirement retirement, MetricGroup metrics) {
    this.store = store;
    this.announcer = announcer;
    this.retirement = retirement;
    this.metrics = metrics;
    this.announced = metrics.counter("checkpoints_announced");
  }

  @Override
  public void commit(Collection<CommitRequest<StagedCheckpoint>> requests) throws IOException {
    List<StagedCheckpoint> batch = new ArrayList<>();
    requests.forEach(request -> batch.add(request.getCommittable()));
    batch.sort(
        Comparator.comparing(StagedCheckpoint::name).thenComparingLong(StagedCheckpoint::version));
    for (StagedCheckpoint staged : batch) {
      store.commit(staged.files());
      if (announcer.announce(staged)) {
        announced.inc();
        LOG.info(
            "Published {} version {} at {}",
            staged.name(),
            staged.version(),
            staged.files().finalUri());
      }
      noteVersion(staged.name(), staged.version());
    }
    Map<String, Long> firstOfBatch = new TreeMap<>();
    batch.forEach(staged -> firstOfBatch.putIfAbsent(staged.name(), staged.version()));
    firstOfBatch.forEach(retirement::retire);
  }

  private void noteVersion(String model, long version) {
    boolean first = !versions.containsKey(model);
    // A resumed job may commit an earlier version again.
    versions.merge(model, version, Math::max);
    if (first) {
      Gauge<Long> gauge = () -> versions.get(model);
      metrics.addGroup("model", model).gauge("announced_version", gauge);
    }
  }

  @Override
  public void close() {
    announcer.close();
  }
}
