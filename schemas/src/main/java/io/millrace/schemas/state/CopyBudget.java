package io.millrace.schemas.state;

/**
 * A limit to the memory of copies that are written out while their originals change. Threads may
 * share it.
 */
public final class CopyBudget {

  private final long limit;
  private long taken;

  /**
   * A budget of which nothing is taken.
   *
   * @param bytes 0 for no copies
   */
  public CopyBudget(long bytes) {
    if (bytes < 0) {
      throw new IllegalArgumentException("a budget of " + bytes + " bytes; it must be at least 0");
    }
    this.limit = bytes;
  }

  /** Takes memory for a copy; false if the budget has less left. */
  public synchronized boolean take(long bytes) {
    if (bytes > limit - taken) {
      return false;
    }
    taken += bytes;
    return true;
  }

  /** Gives back what a copy took. */
  public synchronized void give(long bytes) {
    taken -= bytes;
  }

  /** Bytes of all copies now. */
  public synchronized long taken() {
    return taken;
  }
}
