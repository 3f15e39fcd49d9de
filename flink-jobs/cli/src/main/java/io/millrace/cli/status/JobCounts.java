package io.millrace.cli.status;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.connectors.flink.decode.Totals;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/** What the operators of a job counted, sorted by what an operator of a cluster asks for. */
final class JobCounts {

  private static final String DUPLICATES = "duplicates";

  private final Map<String, String> counts;

  /**
   * @param counts values of accumulators by name, such as {@code topics/prompts/accepted}
   */
  JobCounts(Map<String, String> counts) {
    this.counts = new TreeMap<>(counts);
  }

  /** Adds the counts to a job's part of the report. */
  void addTo(ObjectNode job) {
    counts.forEach(job.putObject("counts")::put);
    deadLetters().forEach(job.putObject("dead_letters")::put);
    dropped().forEach(job.putObject("dropped")::put);
    losses().forEach(job.putObject("losses")::put);
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
