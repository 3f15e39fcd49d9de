package io.millrace.connectors.exchange.file;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.schemas.RefusedRecordException;
import java.nio.charset.StandardCharsets;

/**
 * One row of a file: an object, or the reason why there is none.
 *
 * @param number the line at which the row begins, or its number in a JSON array or Parquet file;
 *     from 1
 * @param value the object; null for a row that cannot be read
 * @param problem why it cannot be read; null for a row that can
 * @param text the row as it was in the file, abbreviated; of a row with a value it may be empty
 */
public record Row(long number, JsonNode value, RefusedRecordException problem, String text) {

  /** Reason of a row that is no JSON, not UTF-8, or too large to be read. */
  public static final String BAD_ROW = "bad-json";

  private static final int MOST_TEXT_BYTES = 64 << 10;

  static Row of(long number, JsonNode value) {
    return new Row(number, value, null, "");
  }

  static Row broken(long number, String problem, byte[] bytes) {
    return new Row(
        number,
        null,
        new RefusedRecordException(BAD_ROW, problem),
        new String(bytes, 0, Math.min(bytes.length, MOST_TEXT_BYTES), StandardCharsets.UTF_8));
  }
}
