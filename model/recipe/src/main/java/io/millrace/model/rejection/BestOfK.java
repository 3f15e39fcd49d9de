package io.millrace.model.rejection;

import io.millrace.model.training.Checks;
import java.util.Arrays;

/**
 * What the best, and the median, of k samples is worth, from K samples of one prompt (the curves of
 * Llama 2, arXiv 2307.09288, figures 7 and 8). Both are means over all subsets of size k, so they
 * are unbiased for every k up to K, and no sample counts more than another. With x(1) ≤ … ≤ x(K)
 * the r-th smallest of a subset is x(j) in C(j−1, r−1) · C(K−j, k−r) of the C(K, k) subsets (David
 * &amp; Nagaraja, "Order Statistics", 2003, section 2.1); the best is r = k.
 */
public final class BestOfK {

  private final int samples;

  /** Weights of the sorted samples by k − 1. */
  private final double[][] best;

  private final double[][] median;

  /**
   * @param samples K, at least 1
   */
  public BestOfK(int samples) {
    Checks.that(samples >= 1, "samples", samples, "at least 1");
    this.samples = samples;
    this.best = new double[samples][];
    this.median = new double[samples][];
    for (int k = 1; k <= samples; k++) {
      best[k - 1] = rank(k, k);
      median[k - 1] = middle(k);
    }
  }

  /** K. */
  public int samples() {
    return samples;
  }

  /**
   * The best of k samples, expected, {@code [K]} by k − 1; the last is the best of all.
   *
   * @param rewards of all samples in any order, {@code [K]}
   * @throws IllegalArgumentException if one is not finite
   */
  public double[] best(double[] rewards) {
    return weighted(best, rewards);
  }

  /**
   * The median of k samples, expected, {@code [K]} by k − 1. Of an even number it is the mean of
   * the two in the middle.
   *
   * @param rewards of all samples in any order, {@code [K]}
   * @throws IllegalArgumentException if one is not finite
   */
  public double[] median(double[] rewards) {
    return weighted(median, rewards);
  }

  private double[] weighted(double[][] weights, double[] rewards) {
    Checks.sameLength("rewards", rewards.length, samples);
    Checks.finite("rewards", rewards);
    double[] sorted = rewards.clone();
    Arrays.sort(sorted);
    double[] expected = new double[samples];
    for (int k = 0; k < samples; k++) {
      for (int j = 0; j < samples; j++) {
        expected[k] += weights[k][j] * sorted[j];
      }
    }
    return expected;
  }

  private double[] middle(int k) {
    double[] upper = rank(k, k / 2 + 1);
    if (k % 2 == 0) {
      double[] lower = rank(k, k / 2);
      for (int j = 0; j < samples; j++) {
        upper[j] = (upper[j] + lower[j]) / 2;
      }
    }
    return upper;
  }

  /**
   * The share of subsets of size k whose r-th smallest is x(j), by j − 1. From j = r on each
   * follows from the one before it; the first is the share of subsets that hold x(1) to x(r).
   */
  private double[] rank(int k, int r) {
    double[] shares = new double[samples];
    double share = 1;
    for (int i = 0; i < r; i++) {
      share *= (double) (k - i) / (samples - i);
    }
    for (int j = r; j <= samples - k + r; j++) {
      shares[j - 1] = share;
      share *= (double) j / (j - r + 1) * (samples - j - k + r) / (samples - j);
    }
    return shares;
  }
}
