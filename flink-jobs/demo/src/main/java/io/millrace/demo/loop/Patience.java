package io.millrace.demo.loop;

import java.io.IOException;
import java.time.Duration;

/** Waits until a figure gets there; one that stands still for long is an error. */
public final class Patience {

  /** So often a figure is looked at. */
  private static final Duration PAUSE = Duration.ofMillis(20);

  private final Duration stall;

  /**
   * Patience.
   *
   * @param stall for how long a figure may stand still
   */
  public Patience(Duration stall) {
    this.stall = stall;
  }

  /** A figure that grows. */
  public interface Figure {
    /** The figure now. */
    long get() throws Exception;
  }

  /**
   * Waits.
   *
   * @param what is counted, for the error
   */
  public void await(Figure figure, long target, String what) throws Exception {
    long best = -1;
    long since = System.nanoTime();
    while (true) {
      long now = figure.get();
      if (now >= target) {
        return;
      }
      if (now > best) {
        best = now;
        since = System.nanoTime();
      } else if (System.nanoTime() - since > stall.toNanos()) {
        throw new IOException(
            "%d of %d %s, and no more for %d minutes; the log has the reason"
                .formatted(now, target, what, stall.toMinutes()));
      }
      Thread.sleep(PAUSE.toMillis());
    }
  }
}
