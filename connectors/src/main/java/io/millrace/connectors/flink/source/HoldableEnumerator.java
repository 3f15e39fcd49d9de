package io.millrace.connectors.flink.source;

import java.io.IOException;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;

/** Holds the readers of a source while any subtask of an operator asks for it. */
final class HoldableEnumerator<S extends SourceSplit, C> implements SplitEnumerator<S, C> {

  private final SplitEnumerator<S, C> enumerator;
  private final SplitEnumeratorContext<S> context;

  /** Subtasks of the operator that ask for a hold. */
  private final Set<Integer> holders = new HashSet<>();

  HoldableEnumerator(SplitEnumerator<S, C> enumerator, SplitEnumeratorContext<S> context) {
    this.enumerator = enumerator;
    this.context = context;
  }

  @Override
  public void handleSourceEvent(int subtask, SourceEvent event) {
    if (!(event instanceof HoldEvent hold)) {
      enumerator.handleSourceEvent(subtask, event);
      return;
    }
    boolean before = !holders.isEmpty();
    if (hold.held()) {
      holders.add(subtask);
    } else {
      holders.remove(subtask);
    }
    if (before == holders.isEmpty()) {
      context.registeredReaders().keySet().forEach(this::inform);
    }
  }

  private void inform(int reader) {
    context.sendEventToSourceReader(reader, new HoldEvent(!holders.isEmpty()));
  }

  /** Readers also register after a failure; a new reader is not held. */
  @Override
  public void addReader(int subtask) {
    enumerator.addReader(subtask);
    if (!holders.isEmpty()) {
      inform(subtask);
    }
  }

  @Override
  public void start() {
    enumerator.start();
  }

  @Override
  public void handleSplitRequest(int subtask, String requesterHostname) {
    enumerator.handleSplitRequest(subtask, requesterHostname);
  }

  @Override
  public void addSplitsBack(List<S> splits, int subtask) {
    enumerator.addSplitsBack(splits, subtask);
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
