package io.millrace.model.reward;

import io.millrace.model.checkpoint.ScoreScale;
import io.millrace.model.training.Checks;
import java.util.ArrayList;
import java.util.List;

/**
 * Anchors the scores of a reward model's versions. The ranking loss depends on differences of
 * scores only, so zero and spread of the scores drift from version to version. Each version is
 * therefore measured on the same anchor responses.
 */
public final class AnchoredScores {

  /**
   * A spread below this is that of a model that has learned nothing; its scores stay as they are.
   */
  private static final double LEAST_SPREAD = 1e-4;

  /** A side of the threshold with fewer anchors takes the slope of all of them. */
  private static final int LEAST_ON_A_SIDE = 8;

  /**
   * A side is at most this many times as steep as all anchors together. Otherwise some anchors
   * right beside the threshold would throw every score of their side far away.
   */
  private static final double MOST_STEEPNESS = 4;

  private AnchoredScores() {}

  /** Mean of some scores. */
  public static double mean(float[] scores) {
    double sum = 0;
    for (float score : scores) {
      sum += Checks.finite("anchor's score", score);
    }
    return sum / scores.length;
  }

  /** Standard deviation of some scores, with the biased variance. */
  public static double deviation(float[] scores) {
    double mean = mean(scores);
    double squares = 0;
    for (float score : scores) {
      squares += (score - mean) * (score - mean);
    }
    return Math.sqrt(squares / scores.length);
  }

  /**
   * Helpfulness: the anchors get mean 0 and standard deviation 1.
   *
   * @param scores of the anchors, {@code [anchors]}
   */
  public static ScoreScale helpfulness(float[] scores) {
    double slope = slope(deviation(scores));
    return new ScoreScale(scores.length, mean(scores), 0, slope, slope);
  }

  /**
   * Safety: the threshold stays where it is, since labels put it there. The safe anchors lie 1
   * above it in the mean, the unsafe ones 1 below; nearer to it where a side would be too steep.
   *
   * @param scores of the anchors, {@code [anchors]}
   */
  public static ScoreScale safety(float[] scores, PiecewiseReward rule) {
    double threshold = rule.scoreThreshold();
    double[] distance = new double[2];
    int[] count = new int[2];
    for (float score : scores) {
      int side = rule.isUnsafe(Checks.finite("anchor's score", score)) ? 0 : 1;
      distance[side] += Math.abs(score - threshold);
      count[side]++;
    }
    double all = (distance[0] + distance[1]) / scores.length;
    return new ScoreScale(
        scores.length,
        threshold,
        threshold,
        slope(spread(distance[0], count[0], all)),
        slope(spread(distance[1], count[1], all)));
  }

  private static double spread(double distance, int count, double all) {
    return count < LEAST_ON_A_SIDE ? all : Math.max(distance / count, all / MOST_STEEPNESS);
  }

  /**
   * By how much the mean of each head of an ensemble exceeds the mean of all heads.
   *
   * @param scores of the anchors, {@code [anchors, heads]}
   * @return {@code [heads]}; empty for one head
   */
  public static List<Double> headOffsets(float[] scores, int heads) {
    List<Double> offsets = new ArrayList<>();
    double mean = mean(scores);
    for (int head = 0; head < heads && heads > 1; head++) {
      float[] own = new float[scores.length / heads];
      for (int i = 0; i < own.length; i++) {
        own[i] = scores[i * heads + head];
      }
      offsets.add(mean(own) - mean);
    }
    return offsets;
  }

  private static double slope(double spread) {
    return spread < LEAST_SPREAD ? 1 : 1 / spread;
  }
}
