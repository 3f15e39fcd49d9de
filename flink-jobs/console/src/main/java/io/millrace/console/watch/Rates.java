package io.millrace.console.watch;

import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;

/** Counts records by second, for the last hour that had any. */
final class Rates {

  private static final int MOST_SECONDS = 3600;

  private final Map<String, TreeMap<Long, Long>> bySecond = new HashMap<>();

  synchronized void add(String name, Instant time) {
    TreeMap<Long, Long> counts = bySecond.computeIfAbsent(name, _ -> new TreeMap<>());
    counts.merge(time.getEpochSecond(), 1L, Long::sum);
    if (counts.size() > MOST_SECONDS) {
      counts.pollFirstEntry();
    }
  }

  synchronized long since(String name, Instant time) {
    return bySecond
        .getOrDefault(name, new TreeMap<>())
        .tailMap(time.getEpochSecond())
        .values()
        .stream()
        .mapToLong(Long::longValue)
        .sum();
  }
}
