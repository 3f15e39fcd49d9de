package io.millrace.connectors.checkpoint;

import io.millrace.connectors.kafka.KafkaSettings;
import java.io.IOException;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import org.apache.flink.api.connector.sink2.Committer;
import org.apache.flink.api.connector.sink2.CommitterInitContext;
import org.apache.flink.api.connector.sink2.CommittingSinkWriter;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.SupportsCommitter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.streaming.api.datastream.DataStream;

/**
 * Publishes staged checkpoints when the Flink checkpoint that covers them has completed: renames
 * the files into place, then announces them in Kafka, in order of version and once each, also
 * through failures between the two. So nobody sees a version that is half-written, unannounced or
 * retracted.
 */
public final class CheckpointSink
    implements Sink<StagedCheckpoint>, SupportsCommitter<StagedCheckpoint> {
  private static final long serialVersionUID = 1L;

  private final KafkaSettings settings;
  private final CheckpointStore store;
  private final Retention retention;
  private final String transactionalId;

  private CheckpointSink(
      KafkaSettings settings, CheckpointStore store, Retention retention, String transactionalId) {
    this.settings = settings;
    this.store = store;
    this.retention = retention;
    this.transactionalId = transactionalId;
  }

  /**
   * Ends a stream in such a sink, with parallelism 1, since versions are announced in order.
   *
   * @param retention which of the versions published so far stay
   * @param job the job's name; two jobs must not publish under one
   */
  public static void attach(
      DataStream<StagedCheckpoint> staged,
      KafkaSettings settings,
      CheckpointStore store,
      Retention retention,
      String job) {
    String transactionalId = settings.topicPrefix() + job + ".checkpoints";
    staged
        .sinkTo(new CheckpointSink(settings, store, retention, transactionalId))
        .setParallelism(1)
        .name("publish checkpoints")
        .uid("publish-checkpoints");
  }

  @Override
  public SinkWriter<StagedCheckpoint> createWriter(WriterInitContext context) {
    return new PassOn();
  }

  @Override
  public Committer<StagedCheckpoint> createCommitter(CommitterInitContext context)
      throws IOException {
    int parallelism = context.getTaskInfo().getNumberOfParallelSubtasks();
    if (parallelism != 1) {
      throw new IllegalStateException(
          "checkpoints are published with parallelism " + parallelism + "; it must be 1");
    }
    return new CheckpointCommitter(
        store,
        new Announcer(settings, transactionalId),
        new Retirement(
            store, retention, Clock.systemUTC(), name -> PromotedVersions.of(settings, name)),
        context.metricGroup().counter("checkpoints_announced"));
  }

  @Override
  public SimpleVersionedSerializer<StagedCheckpoint> getCommittableSerializer() {
    return new StagedCheckpointSerializer();
  }

  /** Keeps what came until the next Flink checkpoint takes it. */
  private static final class PassOn
      implements CommittingSinkWriter<StagedCheckpoint, StagedCheckpoint> {
    private List<StagedCheckpoint> pending = new ArrayList<>();

    @Override
    public void write(StagedCheckpoint staged, Context context) {
      pending.add(staged);
    }

    @Override
    public void flush(boolean endOfInput) {}

    @Override
    public Collection<StagedCheckpoint> prepareCommit() {
      List<StagedCheckpoint> taken = pending;
      pending = new ArrayList<>();
      return taken;
    }

    @Override
    public void close() {}
  }
}
