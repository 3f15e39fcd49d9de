package io.millrace.model.training;

import java.util.SplittableRandom;

/** Random streams without state: one for every pair of seed and number. */
public final class RandomStream {

  /** The step of {@link SplittableRandom}: streams must not start multiples of it apart. */
  private static final long STEP = 0x9E3779B97F4A7C15L;

  private RandomStream() {}

  /**
   * The random stream of a number, such as of a batch or of a draw. The number is hashed, so that
   * no stream is a later part of another one of the same seed.
   */
  public static SplittableRandom of(long seed, long number) {
    return new SplittableRandom(mix(seed + mix(number + STEP)));
  }

  /** A bijective hash (Stafford, "Better bit mixing", 2011, variant 13). */
  private static long mix(long z) {
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }
}
