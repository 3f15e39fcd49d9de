package io.millrace.connectors.checkpoint;

import io.millrace.connectors.kafka.KafkaSettings;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import org.apache.flink.api.connector.sink2.Committer;
import org.apache.flink.api.connector.sink2.CommitterInitContext;
import org.apache.flink.api.connector.sink2.CommittingSinkWriter;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SupportsCommitter;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/**
 * Publishes staged checkpoints in two phases: nothing is visible or announced before the Flink
 * checkpoint that covers it has completed. So no version is ever retracted, and a consumer that
 * hears of one finds it whole.
 */
public final class CheckpointSink
    implements Sink<StagedCheckpoint>, SupportsCommitter<StagedCheckpoint> {

  private static final long serialVersionUID = 1;

  private final KafkaSettings settings;

  public CheckpointSink(KafkaSettings settings) {
    this.settings = settings;
  }

  @Override
  public CommittingSinkWriter<StagedCheckpoint, StagedCheckpoint> createWriter(
      WriterInitContext context) {
    return new Writer();
  }

  @Override
  public Committer<StagedCheckpoint> createCommitter(CommitterInitContext context) {
    return new CheckpointCommitter(settings);
  }

  @Override
  public SimpleVersionedSerializer<StagedCheckpoint> getCommittableSerializer() {
    return new StagedCheckpointSerializer();
  }

  /** Files were written by the trainer: what is left to hand over is their place. */
  private static final class Writer
      implements CommittingSinkWriter<StagedCheckpoint, StagedCheckpoint> {

    private List<StagedCheckpoint> staged = new ArrayList<>();

    @Override
    public void write(StagedCheckpoint checkpoint, Context context) {
      staged.add(checkpoint);
    }

    @Override
    public void flush(boolean endOfInput) {
      // Files are on the disk before their record gets here.
    }

    @Override
    public Collection<StagedCheckpoint> prepareCommit() {
      List<StagedCheckpoint> prepared = staged;
      staged = new ArrayList<>();
      return prepared;
    }

    @Override
    public void close() {
      // Nothing is held open.
    }
  }
}
