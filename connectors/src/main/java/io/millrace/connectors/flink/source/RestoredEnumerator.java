package io.millrace.connectors.flink.source;

import java.io.IOException;
import java.util.List;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.api.connector.source.SplitEnumerator;

/**
 * A restored enumerator of a bounded source that signals the end of splits. When the discovery
 * finds no new partition, {@link DiscoveryContext} signals it to the registered readers. This class
 * signals it to readers that register later, or again after a failure.
 */
final class RestoredEnumerator<S extends SourceSplit, C> implements SplitEnumerator<S, C> {

  private final SplitEnumerator<S, C> enumerator;
  private final DiscoveryContext<S> context;

  RestoredEnumerator(SplitEnumerator<S, C> enumerator, DiscoveryContext<S> context) {
    this.enumerator = enumerator;
    this.context = context;
  }

  private void signal(int subtask) {
    if (context.foundNothingNew() && context.registeredReaders().containsKey(subtask)) {
      context.signalNoMoreSplits(subtask);
    }
  }

  @Override
  public void start() {
    enumerator.start();
  }

  @Override
  public void addReader(int subtask) {
    enumerator.addReader(subtask);
    signal(subtask);
  }

  @Override
  public void addSplitsBack(List<S> splits, int subtask) {
    enumerator.addSplitsBack(splits, subtask);
    signal(subtask);
  }

  @Override
  public void handleSplitRequest(int subtask, String requesterHostname) {
    enumerator.handleSplitRequest(subtask, requesterHostname);
  }

  @Override
  public void handleSourceEvent(int subtask, SourceEvent event) {
    enumerator.handleSourceEvent(subtask, event);
  }

  @Override
  public C snapshotState(long checkpointId) throws Exception {
    return enumerator.snapshotState(checkpointId);
  }

  @Override
  public void notifyCheckpointComplete(long checkpointId) throws Exception {
    enumerator.notifyCheckpointComplete(checkpointId);
  }

  @Override
  public void notifyCheckpointAborted(long checkpointId) throws Exception {
    enumerator.notifyCheckpointAborted(checkpointId);
  }

  @Override
  public void close() throws IOException {
    enumerator.close();
  }
}
