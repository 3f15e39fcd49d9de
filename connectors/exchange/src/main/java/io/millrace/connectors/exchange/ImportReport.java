package io.millrace.connectors.exchange;

import io.millrace.schemas.Topic;
import java.util.Map;
import java.util.TreeMap;

/** What an import did, up to now. For one thread. */
public final class ImportReport {
  private long rows;
  private final Map<String, Long> records = new TreeMap<>();
  private final Map<String, Long> refused = new TreeMap<>();

  void addRow() {
    rows++;
  }

  void addRecord(Topic<?> topic) {
    records.merge(topic.name(), 1L, Long::sum);
  }

  void addRefusal(String reason) {
    refused.merge(reason, 1L, Long::sum);
  }

  /** The rows that were read, without blank lines. */
  public long rows() {
    return rows;
  }

  /** The records, by the name of their topic. */
  public Map<String, Long> records() {
    return Map.copyOf(records);
  }

  /** The refused rows and parts of rows, by reason. */
  public Map<String, Long> refused() {
    return Map.copyOf(refused);
  }

  /** The number of all records. */
  public long sent() {
    return records.values().stream().mapToLong(Long::longValue).sum();
  }

  /** The number of all refusals. */
  public long refusals() {
    return refused.values().stream().mapToLong(Long::longValue).sum();
  }

  /** The counts in words, such as {@code 3 rows; judgments 2; refused 1: invalid 1}. */
  @Override
  public String toString() {
    return "%d rows; %s; refused %d%s"
        .formatted(
            rows,
            records.isEmpty() ? "no records" : words(records),
            refusals(),
            refused.isEmpty() ? "" : ": " + words(refused));
  }

  private static String words(Map<String, Long> counts) {
    StringBuilder words = new StringBuilder();
    counts.forEach(
        (name, count) ->
            words.append(words.isEmpty() ? "" : ", ").append(name).append(' ').append(count));
    return words.toString();
  }
}
