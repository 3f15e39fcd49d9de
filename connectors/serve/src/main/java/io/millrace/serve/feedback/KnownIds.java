package io.millrace.serve.feedback;

import java.time.Instant;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.TreeMap;

/** Ids of feedback, each with its highest revision, until they are forgotten. For one thread. */
final class KnownIds {

  private final Map<String, Known> known = new HashMap<>();
  private final PriorityQueue<Seen> seen = new PriorityQueue<>(Comparator.comparing(Seen::time));

  /**
   * What is known of an id.
   *
   * @param digests digest of each record of the highest revision, by topic
   * @param time of its latest record
   */
  record Known(int revision, Map<String, Long> digests, Instant time) {}

  /** An id at a time. */
  private record Seen(String id, Instant time) {}

  /** Adds records that were stored. */
  void add(String id, int revision, Map<String, Long> digests, Instant time) {
    Known before = known.get(id);
    known.merge(id, new Known(revision, digests, time), KnownIds::merge);
    if (before == null || time.isAfter(before.time())) {
      seen.add(new Seen(id, time));
    }
  }

  private static Known merge(Known before, Known now) {
    Instant time = now.time().isAfter(before.time()) ? now.time() : before.time();
    if (before.revision() != now.revision()) {
      Known higher = before.revision() > now.revision() ? before : now;
      return new Known(higher.revision(), higher.digests(), time);
    }
    Map<String, Long> both = new TreeMap<>(before.digests());
    both.putAll(now.digests());
    return new Known(now.revision(), both, time);
  }

  /** What is known of an id, or null. */
  Known get(String id) {
    return known.get(id);
  }

  /** Forgets the ids whose latest record is older than a time. */
  void forgetBefore(Instant time) {
    while (!seen.isEmpty() && seen.peek().time().isBefore(time)) {
      Seen oldest = seen.remove();
      Known found = known.get(oldest.id());
      if (found != null && found.time().isBefore(time)) {
        known.remove(oldest.id());
      }
    }
  }

  int size() {
    return known.size();
  }
}
