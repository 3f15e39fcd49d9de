package io.millrace.connectors.flink.source;

import java.util.List;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.api.connector.source.SplitEnumerator;

/**
 * A restored enumerator of a bounded source that signals the end of splits. When the discovery
 * finds no new partition, {@link DiscoveryContext} signals it to the registered readers. This class
 * signals it to readers that register later, or again after a failure.
 */
final class RestoredEnumerator<S extends SourceSplit, C> extends ForwardingEnumerator<S, C> {

  private final DiscoveryContext<S> context;

  RestoredEnumerator(SplitEnumerator<S, C> enumerator, DiscoveryContext<S> context) {
    super(enumerator);
    this.context = context;
  }

  private void signal(int subtask) {
    if (context.foundNothingNew() && context.registeredReaders().containsKey(subtask)) {
      context.signalNoMoreSplits(subtask);
    }
  }

  @Override
  public void addReader(int subtask) {
    super.addReader(subtask);
    signal(subtask);
  }

  @Override
  public void addSplitsBack(List<S> splits, int subtask) {
    super.addSplitsBack(splits, subtask);
    signal(subtask);
  }
}
