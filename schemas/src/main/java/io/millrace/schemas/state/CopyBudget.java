package io.millrace.schemas.state;

import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.Optional;

/**
 * A limit to the memory of copies that are written out while their originals change. It keeps the
 * memory of closed copies for later ones of the same kind: on a CPU new memory costs several times
 * as much as copying into it. Threads may share it.
 */
public final class CopyBudget implements AutoCloseable {

  private record Spare(Object kind, long bytes, Object memory, Runnable free) {}

  private final long limit;
  private final ArrayDeque<Spare> spares = new ArrayDeque<>();
  private long inUse;
  private long spareBytes;
  private boolean closed;

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

  /**
   * Takes memory that a closed copy left.
   *
   * @param kind memory of one kind fits every copy of that kind
   * @return empty if there is none
   */
  public synchronized <T> Optional<T> reuse(Object kind, Class<T> type) {
    for (Iterator<Spare> each = spares.iterator(); each.hasNext(); ) {
      Spare spare = each.next();
      if (spare.kind.equals(kind)) {
        each.remove();
        spareBytes -= spare.bytes;
        inUse += spare.bytes;
        return Optional.of(type.cast(spare.memory));
      }
    }
    return Optional.empty();
  }

  /** Takes room for new memory; false if the budget has less left. Frees spare memory for it. */
  public synchronized boolean take(long bytes) {
    if (closed || bytes > limit - inUse) {
      return false;
    }
    while (bytes > limit - inUse - spareBytes) {
      free(spares.remove());
    }
    inUse += bytes;
    return true;
  }

  /** Gives back the room of memory that is freed. */
  public synchronized void give(long bytes) {
    inUse -= bytes;
  }

  /**
   * Gives back the memory of a copy.
   *
   * @param free frees it, once it is not needed any more
   */
  public synchronized void keep(Object kind, long bytes, Object memory, Runnable free) {
    inUse -= bytes;
    spareBytes += bytes;
    Spare spare = new Spare(kind, bytes, memory, free);
    if (closed) {
      free(spare);
    } else {
      spares.add(spare);
    }
  }

  private void free(Spare spare) {
    spareBytes -= spare.bytes;
    spare.free.run();
  }

  /** Bytes of all copies now. */
  public synchronized long inUse() {
    return inUse;
  }

  /** Frees the spare memory. Copies that are in use free theirs when they are closed. */
  @Override
  public synchronized void close() {
    closed = true;
    while (!spares.isEmpty()) {
      free(spares.remove());
    }
  }
}
