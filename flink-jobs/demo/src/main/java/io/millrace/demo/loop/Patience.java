package io.millrace.demo.loop;

import java.io.IOException;
import java.time.Duration;

/** Waits until a count reaches a target; a count that stands still for long is an error. */
public final class Patience {

  private static final Duration PAUSE = Duration.ofMillis(20);

  private final Duration stall;

  /**
   * Waits with a time limit.
   *
   * @param stall the longest time for which a count may stand still
   */
  public Patience(Duration stall) {
    this.stall = stall;
  }

  /** A count that grows. */
  public interface Count {
    /** The count now. */
    long get() throws Exception;
  }

  /**
   * Waits until the count is at least the target.
   *
   * @param what names the counted things, for the error
   * @throws IOException where the count stands still for too long
   */
  public void await(Count count, long target, String what) throws Exception {
    long best = -1;
    long since = System.nanoTime();
    while (true) {
      long now = count.get();
      if (now >= target) {
        return;
      }
      if (now > best) {
        best = now;
        since = System.nanoTime();
      } else if (System.nanoTime() - since > stall.toNanos()) {
        throw new IOException(
            "%d of %d %s, and none for %d minutes; the log has the reason"
                .formatted(now, target, what, stall.toMinutes()));
      }
      Thread.sleep(PAUSE.toMillis());
    }
  }
}
