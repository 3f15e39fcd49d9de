package io.millrace.connectors.exchange.format;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.schemas.RefusedRecordException;

/** A format of rows, such as TRL's preferences. */
public interface Format {

  /** The name by which users choose it. */
  String name();

  /** The fields of a row, for messages. */
  String fields();

  /** Whether a row has the fields of this format; their values may be unusable nevertheless. */
  boolean matches(JsonNode row);

  /**
   * Turns a row into records.
   *
   * @param output takes the records, and what is refused within the row
   * @throws RefusedRecordException to refuse the whole row
   * @throws MissingSettingException if the user must say something about the file first
   */
  void read(JsonNode row, Settings settings, Output output);
}
