package io.millrace.model.training;

import java.util.SplittableRandom;

/** Random streams that need no state of their own: a seed has one for every number. */
public final class RandomStream {

  private RandomStream() {}

  /** The stream of a number: a batch's, a draw's. */
  public static SplittableRandom of(long seed, long number) {
    return new SplittableRandom(seed ^ number * 0x9E3779B97F4A7C15L);
  }
}
