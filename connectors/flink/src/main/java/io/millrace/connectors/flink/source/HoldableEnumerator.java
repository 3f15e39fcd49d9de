package io.millrace.connectors.flink.source;

import java.util.HashSet;
import java.util.Set;
import org.apache.flink.api.connector.source.SourceEvent;
import org.apache.flink.api.connector.source.SourceSplit;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;

/** Holds the readers of a source while any subtask of an operator asks for it. */
final class HoldableEnumerator<S extends SourceSplit, C> extends ForwardingEnumerator<S, C> {

  private final SplitEnumeratorContext<S> context;

  /** Subtasks of the operator that ask for a hold. */
  private final Set<Integer> holders = new HashSet<>();

  HoldableEnumerator(SplitEnumerator<S, C> enumerator, SplitEnumeratorContext<S> context) {
    super(enumerator);
    this.context = context;
  }

  @Override
  public void handleSourceEvent(int subtask, SourceEvent event) {
    if (!(event instanceof HoldEvent hold)) {
      super.handleSourceEvent(subtask, event);
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
    super.addReader(subtask);
    if (!holders.isEmpty()) {
      inform(subtask);
    }
  }
}
