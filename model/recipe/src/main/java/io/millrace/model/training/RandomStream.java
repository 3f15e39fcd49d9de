package io.millrace.model.training;

import java.util.SplittableRandom;

/** Random streams without state: one for every pair of seed and number. */
public final class RandomStream {

  private RandomStream() {}

  /** The random stream of a number, such as of a batch or of a draw. */
  public static SplittableRandom of(long seed, long number) {
    return new SplittableRandom(seed ^ number * 0x9E3779B97F4A7C15L);
  }
}
