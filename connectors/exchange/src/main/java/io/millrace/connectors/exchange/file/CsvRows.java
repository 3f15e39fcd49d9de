package io.millrace.connectors.exchange.file;

import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.csv.CsvMapper;
import com.fasterxml.jackson.dataformat.csv.CsvParser;
import com.fasterxml.jackson.dataformat.csv.CsvSchema;
import io.millrace.schemas.wire.TextLines;
import io.millrace.schemas.wire.WireFormatException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * CSV (RFC 4180) with a header: each row is an object of texts. Empty cells are no members. Columns
 * are separated by the first of comma, semicolon and tab in the header. A quoted cell may contain
 * line breaks.
 */
final class CsvRows implements Rows {
  private final Content content;
  private final Bounds bounds;
  private final TextLines lines;
  private final ObjectReader cells;
  private final List<String> header;

  CsvRows(Content content, Bounds bounds) throws IOException {
    this.content = content;
    this.bounds = bounds;
    this.lines = new TextLines(content.stream());
    Optional<TextLines.Line> first = lines.next();
    if (first.isEmpty()) {
      throw new IOException("it is empty");
    }
    String text;
    try {
      text = first.get().text();
    } catch (WireFormatException e) {
      throw new IOException("its first line cannot be read: " + e.getMessage(), e);
    }
    this.cells = reader(separator(text));
    this.header = List.of(split(text));
    Set<String> names = new HashSet<>();
    for (String name : header) {
      if (!names.add(name)) {
        throw new IOException("its header has the column \"%s\" twice".formatted(name));
      }
    }
  }

  /** The columns that a first line would be the header of; none if it is no CSV. */
  static List<String> columns(String firstLine) {
    try {
      return List.of(split(reader(separator(firstLine)), firstLine));
    } catch (IOException e) {
      return List.of();
    }
  }

  private static ObjectReader reader(char separator) {
    return new CsvMapper()
        .readerFor(String[].class)
        .with(CsvParser.Feature.WRAP_AS_ARRAY)
        .with(CsvSchema.emptySchema().withColumnSeparator(separator));
  }

  private static char separator(String header) {
    for (int i = 0; i < header.length(); i++) {
      char found = header.charAt(i);
      if (found == ',' || found == ';' || found == '\t') {
        return found;
      }
    }
    return ',';
  }

  private String[] split(String text) throws IOException {
    return split(cells, text);
  }

  private static String[] split(ObjectReader cells, String text) throws IOException {
    try (var rows = cells.<String[]>readValues(text)) {
      return rows.hasNextValue() ? rows.nextValue() : new String[0];
    }
  }

  @Override
  public Optional<Row> next() throws IOException {
    Optional<TextLines.Line> line = lines.next();
    while (line.isPresent() && line.get().isBlank()) {
      line = lines.next();
    }
    if (line.isEmpty()) {
      return Optional.empty();
    }
    long number = line.get().number();
    StringBuilder text = new StringBuilder();
    boolean quoted = false;
    while (true) {
      try {
        text.append(line.get().text());
      } catch (WireFormatException e) {
        return Optional.of(Row.broken(number, e.getMessage(), line.get().bytes()));
      }
      quoted ^= (line.get().text().chars().filter(c -> c == '"').count() & 1) == 1;
      if (!quoted) {
        return Optional.of(row(number, text.toString()));
      }
      text.append('\n');
      line = lines.next();
      if (line.isEmpty()) {
        return Optional.of(broken(number, "a quotation mark is opened and not closed", text));
      }
      if (text.length() > bounds.mostRowBytes()) {
        return Optional.of(
            broken(
                number,
                "the row has more than %d characters; close the quotation mark"
                    .formatted(bounds.mostRowBytes()),
                text));
      }
    }
  }

  private Row row(long number, String text) {
    if (text.length() > bounds.mostRowBytes()) {
      return broken(
          number,
          "the row has more than %d characters; split it".formatted(bounds.mostRowBytes()),
          text);
    }
    String[] found;
    try {
      found = split(text);
    } catch (IOException e) {
      return broken(number, "not CSV: " + e.getMessage().lines().findFirst().orElse(""), text);
    }
    if (found.length != header.size()) {
      return broken(
          number,
          "the row has %d cells, and the header has %d".formatted(found.length, header.size()),
          text);
    }
    ObjectNode row = JsonNodeFactory.instance.objectNode();
    for (int i = 0; i < found.length; i++) {
      if (found[i] != null && !found[i].isEmpty()) {
        row.put(header.get(i), found[i]);
      }
    }
    return Row.of(number, row);
  }

  private static Row broken(long number, String problem, CharSequence text) {
    return Row.broken(number, problem, text.toString().getBytes(StandardCharsets.UTF_8));
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
