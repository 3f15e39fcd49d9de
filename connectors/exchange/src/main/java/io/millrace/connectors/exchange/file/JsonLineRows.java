package io.millrace.connectors.exchange.file;

import io.millrace.schemas.wire.StrictJson;
import io.millrace.schemas.wire.TextLines;
import io.millrace.schemas.wire.WireFormatException;
import java.io.IOException;
import java.util.Optional;

/** JSON Lines: one object a line. Blank lines are no rows. */
final class JsonLineRows implements Rows {
  /** A line of so many values takes 50 MB of memory or so. */
  private static final int MOST_VALUES = 500_000;

  private final Content content;
  private final TextLines lines;

  JsonLineRows(Content content) throws IOException {
    this.content = content;
    this.lines = new TextLines(content.stream());
  }

  @Override
  public Optional<Row> next() throws IOException {
    Optional<TextLines.Line> line = lines.next();
    while (line.isPresent() && line.get().isBlank()) {
      line = lines.next();
    }
    return line.map(JsonLineRows::row);
  }

  private static Row row(TextLines.Line line) {
    try {
      String text = line.text();
      if (text.length() > MOST_VALUES && values(text) > MOST_VALUES) {
        throw new WireFormatException(
            "the line has more than %d values; split it".formatted(MOST_VALUES));
      }
      return Row.of(line.number(), StrictJson.read(text));
    } catch (WireFormatException e) {
      return Row.broken(line.number(), e.getMessage(), line.bytes());
    }
  }

  /** At least the number of values: what stands between strings and separates them. */
  private static int values(String text) {
    int count = 1;
    boolean quoted = false;
    for (int i = 0; i < text.length(); i++) {
      switch (text.charAt(i)) {
        case '"' -> quoted = !quoted;
        case '\\' -> i += quoted ? 1 : 0;
        case ',', '[', '{' -> count += quoted ? 0 : 1;
        default -> {}
      }
    }
    return count;
  }

  @Override
  public String unit() {
    return "line";
  }

  @Override
  public double progress() {
    return content.progress();
  }

  @Override
  public void close() throws IOException {
    content.close();
  }
}
