package io.millrace.connectors.flink.decode;

import io.millrace.connectors.flink.source.DemonstrationFile;
import io.millrace.connectors.flink.source.Received;
import io.millrace.connectors.importer.DemonstrationLine;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.wire.TextLines;
import io.millrace.schemas.wire.WireFormatException;

/**
 * Lines of a {@link DemonstrationFile}. Their offset is the line number, their partition the pass.
 */
public final class LineFormat implements BodyFormat<Demonstration> {
  private static final long serialVersionUID = 1L;

  @Override
  public Demonstration decode(Received received) {
    String origin = received.topic() + ":" + received.offset();
    String text;
    try {
      text = new TextLines.Line(received.offset(), received.value()).text();
    } catch (WireFormatException e) {
      throw new RefusedRecordException(e.reason(), origin + ": " + e.getMessage());
    }
    return DemonstrationLine.read(text, origin);
  }

  @Override
  public boolean isRepeat(Received received) {
    return received.partition() > 0;
  }
}
