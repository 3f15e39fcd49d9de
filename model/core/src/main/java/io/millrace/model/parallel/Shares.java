package io.millrace.model.parallel;

import java.util.Arrays;

/** How work and memory are divided among ranks. */
public final class Shares {

  /** Parts of a tensor begin at a multiple of this many elements, a cache line of floats. */
  private static final int ALIGNMENT = 16;

  private Shares() {}

  /**
   * Consecutive items for each rank, with about the same number of tokens. Each rank gets at least
   * one item, unless there are fewer items than ranks: then the last ranks get none.
   *
   * @param lengths tokens of each item
   * @return rank r has the items {@code [bounds[r], bounds[r + 1])}, {@code [ranks + 1]}
   */
  public static int[] ofItems(int[] lengths, int ranks) {
    int items = lengths.length;
    long total = Arrays.stream(lengths).asLongStream().sum();
    int[] bounds = new int[ranks + 1];
    long before = 0;
    int item = 0;
    for (int rank = 1; rank <= ranks; rank++) {
      int least = Math.min(items, bounds[rank - 1] + 1);
      int most = Math.max(least, items - (ranks - rank));
      // An item goes to the rank in whose range its middle lies.
      while (item < least
          || (item < most && (2 * before + lengths[item]) * ranks <= 2 * total * rank)) {
        before += lengths[item++];
      }
      bounds[rank] = item;
    }
    bounds[ranks] = items;
    return bounds;
  }

  /**
   * Consecutive elements of a tensor for each rank, as many for each as their alignment allows.
   *
   * @return rank r has the elements {@code [bounds[r], bounds[r + 1])}, {@code [ranks + 1]}
   */
  public static long[] ofElements(long elements, int ranks) {
    long[] bounds = new long[ranks + 1];
    for (int rank = 1; rank < ranks; rank++) {
      bounds[rank] = elements * rank / ranks / ALIGNMENT * ALIGNMENT;
    }
    bounds[ranks] = elements;
    return bounds;
  }
}
