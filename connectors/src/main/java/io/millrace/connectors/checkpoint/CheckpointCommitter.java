package io.millrace.connectors.checkpoint;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.connector.sink2.Committer;
import org.apache.flink.metrics.Counter;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The second phase: rename, then announce. Both may be repeated, so a failure is simply thrown.
 * Then old versions may go: none of those committed here, since until the next Flink checkpoint a
 * job that resumes commits them again.
 */
final class CheckpointCommitter implements Committer<StagedCheckpoint> {
  private static final Logger LOG = LoggerFactory.getLogger(CheckpointCommitter.class);

  private final CheckpointStore store;
  private final Announcer announcer;
  private final Retirement retirement;
  private final Counter announced;

  CheckpointCommitter(
      CheckpointStore store, Announcer announcer, Retirement retirement, Counter announced) {
    this.store = store;
    this.announcer = announcer;
    this.retirement = retirement;
    this.announced = announced;
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
            "published {} version {} at {}", staged.name(), staged.version(), staged.finalUri());
      }
    }
    Map<String, Long> firsts = new TreeMap<>();
    batch.forEach(staged -> firsts.putIfAbsent(staged.name(), staged.version()));
    firsts.forEach(retirement::retire);
  }

  @Override
  public void close() {
    announcer.close();
  }
}
