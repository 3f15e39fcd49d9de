package io.millrace.model.sampling;

/** Which pages of a KV cache are free, and how many hold each of the others. */
final class PagePool {

  private final int[] holders;
  private final int[] free;
  private int available;

  PagePool(int pages) {
    this.holders = new int[pages];
    this.free = new int[pages];
    for (int i = 0; i < pages; i++) {
      free[i] = pages - 1 - i;
    }
    this.available = pages;
  }

  int available() {
    return available;
  }

  /** A free page, for one holder. */
  int take() {
    if (available == 0) {
      throw new IllegalStateException("no page of " + holders.length + " is free");
    }
    int page = free[--available];
    holders[page] = 1;
    return page;
  }

  /** Another holder of a page. */
  void share(int page) {
    requireHeld(page);
    holders[page]++;
  }

  boolean isShared(int page) {
    return holders[page] > 1;
  }

  /** One holder less; the last one's leaving frees the page. */
  void release(int page) {
    requireHeld(page);
    if (--holders[page] == 0) {
      free[available++] = page;
    }
  }

  private void requireHeld(int page) {
    if (holders[page] == 0) {
      throw new IllegalStateException("page " + page + " has no holder");
    }
  }
}
