package io.millrace.console.people;

import java.time.Clock;
import java.util.LinkedHashMap;
import java.util.Map;

/** Limits the requests of each name in a minute. It remembers a bounded number of names. */
public final class RateLimit {

  private static final int MOST_NAMES = 10_000;
  private static final long MINUTE = 60_000;

  private final int most;
  private final Clock clock;
  private final Map<String, Bucket> buckets =
      new LinkedHashMap<>(16, 0.75f, true) {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Bucket> eldest) {
          return size() > MOST_NAMES;
        }
      };

  private record Bucket(double left, long time) {}

  /**
   * @param most requests a minute
   */
  public RateLimit(int most, Clock clock) {
    this.most = most;
    this.clock = clock;
  }

  /** Counts a request; false if there were too many. */
  public synchronized boolean allow(String name) {
    long now = clock.millis();
    Bucket bucket = buckets.getOrDefault(name, new Bucket(most, now));
    double left = Math.min(most, bucket.left() + most * (double) (now - bucket.time()) / MINUTE);
    boolean allowed = left >= 1;
    buckets.put(name, new Bucket(allowed ? left - 1 : left, now));
    return allowed;
  }
}
