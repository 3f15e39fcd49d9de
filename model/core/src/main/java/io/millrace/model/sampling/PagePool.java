package io.millrace.model.sampling;

/** Reference counts of the pages of a KV cache. A page with no holder is free. */
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

  /** Number of free pages. */
  int available() {
    return available;
  }

  /** Takes a free page, which then has one holder. */
  int take() {
    if (available == 0) {
      throw new IllegalStateException(
          "no free page: all " + holders.length + " pages of the KV cache are in use");
    }
    int page = free[--available];
    holders[page] = 1;
    return page;
  }

  /** Adds a holder of a page. */
  void share(int page) {
    requireHeld(page);
    holders[page]++;
  }

  /** Whether a page has more than one holder. */
  boolean isShared(int page) {
    return holders[page] > 1;
  }

  /** Removes a holder of a page, which becomes free with its last holder. */
  void release(int page) {
    requireHeld(page);
    if (--holders[page] == 0) {
      free[available++] = page;
    }
  }

  private void requireHeld(int page) {
    if (holders[page] == 0) {
      throw new IllegalStateException("page " + page + " of the KV cache has no holder");
    }
  }
}
