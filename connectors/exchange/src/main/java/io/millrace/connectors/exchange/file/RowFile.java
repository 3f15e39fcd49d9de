package io.millrace.connectors.exchange.file;

import io.millrace.schemas.PlainFiles;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;

/** Opens a file of rows. Its content says what it is, not its name. */
public final class RowFile {
  /** Names of columns by which a first line is recognised as the header of a CSV file. */
  private static final Set<String> COLUMNS =
      Set.of("prompt", "instruction", "chosen", "response", "text");

  private RowFile() {}

  /**
   * Opens a file.
   *
   * @throws IOException if it cannot be read as any kind of rows; the message names the file
   */
  public static Rows open(Path file, Bounds bounds) throws IOException {
    if (ParquetRows.isParquet(file)) {
      return new ParquetRows(file, bounds);
    }
    Content content = Content.open(file, bounds);
    try {
      return rows(content, bounds);
    } catch (IOException e) {
      content.close();
      throw new IOException("%s cannot be read: %s".formatted(file, PlainFiles.reason(e)), e);
    }
  }

  private static Rows rows(Content content, Bounds bounds) throws IOException {
    byte[] beginning = content.beginning();
    if (beginning.length >= 2
        && ((beginning[0] == (byte) 0xFF && beginning[1] == (byte) 0xFE)
            || (beginning[0] == (byte) 0xFE && beginning[1] == (byte) 0xFF))) {
      throw new IOException("it is UTF-16; convert it, for example with iconv -f utf-16 -t utf-8");
    }
    String text = new String(beginning, StandardCharsets.UTF_8).replaceFirst("^\uFEFF", "");
    if (text.stripLeading().startsWith("[")) {
      return new JsonArrayRows(content, bounds);
    }
    List<String> columns = CsvRows.columns(text.lines().findFirst().orElse(""));
    return !text.stripLeading().startsWith("{") && columns.stream().anyMatch(COLUMNS::contains)
        ? new CsvRows(content, bounds)
        : new JsonLineRows(content);
  }
}
