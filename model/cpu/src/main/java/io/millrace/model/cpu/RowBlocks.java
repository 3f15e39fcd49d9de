package io.millrace.model.cpu;

/** Rows split into blocks of alike size, one a thread; few small rows make one block. */
record RowBlocks(int rows, int count) {

  /** Elements below which a second thread costs more than it brings. */
  private static final long WORTHWHILE = 8 * 1024;

  static RowBlocks of(int rows, long elementsPerRow, WorkPool pool) {
    long worthwhile = Math.max(1, rows * elementsPerRow / WORTHWHILE);
    return new RowBlocks(rows, (int) Math.min(Math.min(worthwhile, rows), pool.budget()));
  }

  int start(int block) {
    return (int) ((long) rows * block / count);
  }

  int end(int block) {
    return start(block + 1);
  }
}
