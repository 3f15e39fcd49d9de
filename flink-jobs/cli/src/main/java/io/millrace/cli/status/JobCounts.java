package io.millrace.cli.status;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.connectors.flink.decode.Totals;
import java.math.BigDecimal;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Pattern;

/** What the operators of a job counted, sorted by what an operator of a cluster asks for. */
final class JobCounts {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String DUPLICATES = "duplicates";

  /** Digits that every long has room for. */
  private static final int MOST_DIGITS = 18;

  private static final String ENTRY = "[^=,{}]+=[-+0-9.EaNInfity]+";
  private static final Pattern SUMMARY = Pattern.compile("\\{" + ENTRY + "(, " + ENTRY + ")*+\\}");

  private final Map<String, String> counts;

  /**
   * @param counts values of accumulators by name, such as {@code topics/prompts/accepted}
   */
  JobCounts(Map<String, String> counts) {
    this.counts = new TreeMap<>(counts);
  }

  /** Adds the counts to a job's part of the report. */
  void addTo(ObjectNode job) {
    ObjectNode plain = job.putObject("counts");
    ObjectNode summaries = JSON.createObjectNode();
    counts.forEach(
        (name, value) -> {
          if (SUMMARY.matcher(value).matches()) {
            putSummary(summaries.putObject(name), value);
          } else {
            putNumber(plain, name, value);
          }
        });
    if (!summaries.isEmpty()) {
      job.set("summaries", summaries);
    }
    deadLetters().forEach(job.putObject("dead_letters")::put);
    dropped().forEach(job.putObject("dropped")::put);
    losses().forEach(job.putObject("losses")::put);
  }

  /** The text of a map, which is all that Flink reports of a {@code SummaryAccumulator}. */
  private static void putSummary(ObjectNode summary, String text) {
    for (String entry : text.substring(1, text.length() - 1).split(", ")) {
      int equals = entry.lastIndexOf('=');
      putNumber(summary, entry.substring(0, equals), entry.substring(equals + 1));
    }
  }

  /** Puts a number, without a fraction if it has none, or the text of any other value. */
  private static void putNumber(ObjectNode node, String name, String value) {
    try {
      BigDecimal number = new BigDecimal(value).stripTrailingZeros();
      if (number.scale() <= 0 && number.precision() - number.scale() <= MOST_DIGITS) {
        node.put(name, number.longValueExact());
      } else {
        node.put(name, number.doubleValue());
      }
    } catch (NumberFormatException e) {
      node.put(name, value);
    }
  }

  /** Dead letters by reason, of all topics together. */
  SortedMap<String, Long> deadLetters() {
    return byReason(Totals.DEAD_LETTERS);
  }

  /** Records that a job took and did not use, by reason. */
  SortedMap<String, Long> dropped() {
    SortedMap<String, Long> dropped = byReason(Totals.DROPPED);
    long duplicates = sum(DUPLICATES);
    if (duplicates > 0) {
      dropped.put("duplicate", duplicates);
    }
    return dropped;
  }

  /**
   * Records that are lost, and rollouts that were sampled in vain. All should be 0. What the
   * configuration asks to drop is no loss.
   */
  SortedMap<String, Long> losses() {
    SortedMap<String, Long> losses = new TreeMap<>();
    losses.put("records_deleted_unread", sum(Totals.DELETED_UNREAD));
    losses.put("records_too_large", sum(Totals.TOO_LARGE));
    losses.put("transactions_lost", sum(Totals.TRANSACTIONS_LOST));
    losses.put("rollouts_stale", byReason(Totals.DROPPED).getOrDefault("stale", 0L));
    return losses;
  }

  private long sum(String name) {
    return counts.entrySet().stream()
        .filter(count -> count.getKey().endsWith("/" + name))
        .mapToLong(count -> number(count.getValue()))
        .sum();
  }

  private SortedMap<String, Long> byReason(String prefix) {
    SortedMap<String, Long> reasons = new TreeMap<>();
    counts.forEach(
        (counter, value) -> {
          int at = counter.indexOf("/" + prefix);
          if (at >= 0 && number(value) > 0) {
            reasons.merge(counter.substring(at + 1 + prefix.length()), number(value), Long::sum);
          }
        });
    return reasons;
  }

  /** A value of an accumulator that failed is a message. */
  private static long number(String value) {
    try {
      return Long.parseLong(value);
    } catch (NumberFormatException e) {
      return 0;
    }
  }
}
