package io.millrace.connectors.flink.checkpoint;

import io.millrace.connectors.checkpoint.PromotedVersions;
import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.Retention;
import io.millrace.connectors.checkpoint.store.Retirement;
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
 * Publishes staged checkpoints once the Flink checkpoint that covers them has completed. It makes
 * the files visible, then announces them in Kafka, in order of version and once each. That holds
 * after a failure between the two steps too. So no reader sees a version that is partial, not
 * announced or withdrawn.
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
   * Ends a stream in this sink. Its parallelism is 1, because versions are announced in order.
   *
   * @param retention decides which published versions stay
   * @param job the job's name; no two jobs may publish under one name
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
    return new PendingWriter();
  }

  @Override
  public Committer<StagedCheckpoint> createCommitter(CommitterInitContext context)
      throws IOException {
    int parallelism = context.getTaskInfo().getNumberOfParallelSubtasks();
    if (parallelism != 1) {
      throw new IllegalStateException(
          "the operator \"publish checkpoints\" has parallelism %d; set it to 1"
              .formatted(parallelism));
    }
    return new CheckpointCommitter(
        store,
        new Announcer(settings, transactionalId),
        new Retirement(
            store, retention, Clock.systemUTC(), name -> PromotedVersions.of(settings, name)),
        context.metricGroup());
  }

  @Override
  public SimpleVersionedSerializer<StagedCheckpoint> getCommittableSerializer() {
    return new StagedCheckpointSerializer();
  }

  /** Collects staged checkpoints for the next Flink checkpoint. */
  private static final class PendingWriter
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
