package io.millrace.model.cpu;

/**
 * Rows split into blocks of similar size, at most one for each thread. A few small rows make one
 * block.
 *
 * @param rows number of rows
 * @param count number of blocks
 */
record RowBlocks(int rows, int count) {

  /** Elements below which a second thread does not pay. */
  private static final long MIN_ELEMENTS = 8 * 1024;

  static RowBlocks of(int rows, long elementsPerRow, WorkPool pool) {
    long maxBlocks = Math.max(1, rows * elementsPerRow / MIN_ELEMENTS);
    return new RowBlocks(rows, (int) Math.min(Math.min(maxBlocks, rows), pool.budget()));
  }

  /** First row of a block. */
  int start(int block) {
    return (int) ((long) rows * block / count);
  }

  /** Row after the last one of a block. */
  int end(int block) {
    return start(block + 1);
  }
}
