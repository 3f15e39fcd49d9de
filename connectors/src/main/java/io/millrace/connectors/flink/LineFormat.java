package io.millrace.connectors.flink;

import io.millrace.connectors.importer.DemonstrationLine;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.RefusedRecordException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/** Lines of a {@link DemonstrationFile}: its offsets are line numbers, its partitions passes. */
final class LineFormat implements BodyFormat<Demonstration> {
  private static final long serialVersionUID = 1L;

  @Override
  public Demonstration decode(Received received) {
    String origin = received.topic() + ":" + received.offset();
    String text;
    try {
      text =
          StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(received.value())).toString();
    } catch (CharacterCodingException e) {
      throw new RefusedRecordException("undecodable", origin + ": not UTF-8");
    }
    return DemonstrationLine.read(text, origin);
  }

  @Override
  public boolean isRepeat(Received received) {
    return received.partition() > 0;
  }
}
