package io.millrace.model.sampling;

import java.util.Arrays;

/** The cache pages of one sequence, in the order of its positions. */
final class PageList {

  private final PagePool pool;
  private int[] pages;
  private int count;

  PageList(PagePool pool) {
    this.pool = pool;
    this.pages = new int[8];
  }

  /** Number of pages. */
  int count() {
    return count;
  }

  int[] toArray() {
    return Arrays.copyOf(pages, count);
  }

  int get(int index) {
    return pages[index];
  }

  /** Appends a free page of the pool. */
  void grow() {
    append(pool.take());
  }

  /** Appends the first pages of another list, which then share them. */
  void share(PageList other, int first) {
    for (int i = 0; i < first; i++) {
      share(other.pages[i]);
    }
  }

  /** Appends a page that others use too. */
  void share(int page) {
    pool.share(page);
    append(page);
  }

  private void append(int page) {
    if (count == pages.length) {
      pages = Arrays.copyOf(pages, 2 * count);
    }
    pages[count++] = page;
  }

  /** Replaces a shared page by a free page of the pool; returns the free page. */
  int replace(int index) {
    int page = pool.take();
    pool.release(pages[index]);
    pages[index] = page;
    return page;
  }

  /** Returns all pages to the pool. */
  void release() {
    for (int i = 0; i < count; i++) {
      pool.release(pages[i]);
    }
    count = 0;
  }
}
