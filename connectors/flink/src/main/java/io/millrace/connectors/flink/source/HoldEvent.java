package io.millrace.connectors.flink.source;

import org.apache.flink.api.connector.source.SourceEvent;

/**
 * Asks a {@link HoldableSource} to stop or to resume reading. It goes from an operator to the
 * source's enumerator, and from there to every reader.
 */
record HoldEvent(boolean held) implements SourceEvent {

  private static final long serialVersionUID = 1;
}
