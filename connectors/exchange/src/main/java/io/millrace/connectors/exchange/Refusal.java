package io.millrace.connectors.exchange;

import java.nio.file.Path;

/**
 * What gave no record: a row of a file, or a part of it.
 *
 * @param unit what the number counts: line, element or row
 * @param reason short and countable
 * @param text the row, abbreviated
 */
public record Refusal(
    Path file, String unit, long number, String reason, String message, String text) {
  @Override
  public String toString() {
    return "%s, %s %d: %s: %s".formatted(file, unit, number, reason, message);
  }
}
