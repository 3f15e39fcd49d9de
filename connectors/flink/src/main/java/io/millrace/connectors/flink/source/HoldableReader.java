package io.millrace.connectors.flink.source;

import java.util.Collection;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.flink.api.connector.source.ReaderOutput;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.core.io.InputStatus;

/** A reader that emits nothing while it is held. Its task goes on to answer barriers. */
@SuppressWarnings("try") // SourceReader.close() may throw InterruptedException.
final class HoldableReader<T, S extends SourceSplit> implements SourceReader<T, S> {

  private final SourceReader<T, S> reader;

  /** Completed when the hold ends; null while the source is not held. */
  private CompletableFuture<Void> released;

  HoldableReader(SourceReader<T, S> reader) {
    this.reader = reader;
  }

  @Override
  public void handleSourceEvents(SourceEvent event) {
    if (!(event instanceof HoldEvent hold)) {
      reader.handleSourceEvents(event);
    } else if (hold.held() && released == null) {
      released = new CompletableFuture<>();
    } else if (!hold.held() && released != null) {
      CompletableFuture<Void> ended = released;
      released = null;
      ended.complete(null);
    }
  }

  @Override
  public InputStatus pollNext(ReaderOutput<T> output) throws Exception {
    return released == null ? reader.pollNext(output) : InputStatus.NOTHING_AVAILABLE;
  }

  @Override
  public CompletableFuture<Void> isAvailable() {
    return released == null ? reader.isAvailable() : released;
  }

  @Override
  public void start() {
    reader.start();
  }

  @Override
  public List<S> snapshotState(long checkpointId) {
    return reader.snapshotState(checkpointId);
  }

  @Override
  public void addSplits(List<S> splits) {
    reader.addSplits(splits);
  }

  @Override
  public void notifyNoMoreSplits() {
    reader.notifyNoMoreSplits();
  }

  @Override
  public void pauseOrResumeSplits(Collection<String> pause, Collection<String> resume) {
    reader.pauseOrResumeSplits(pause, resume);
  }

  @Override
  public void notifyCheckpointComplete(long checkpointId) throws Exception {
    reader.notifyCheckpointComplete(checkpointId);
  }

  @Override
  public void notifyCheckpointAborted(long checkpointId) throws Exception {
    reader.notifyCheckpointAborted(checkpointId);
  }

  @Override
  public void close() throws Exception {
    reader.close();
  }
}
