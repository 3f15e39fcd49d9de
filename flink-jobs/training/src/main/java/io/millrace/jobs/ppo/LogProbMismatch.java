package io.millrace.jobs.ppo;

import java.util.List;
import java.util.Map;

/**
 * How far another engine's log-probs of some responses are from the trainer's own. Both are of the
 * policy version that sampled, and Δ_t = log π_v(y_t) − log π_b(y_t): π_v is the trainer's, π_b is
 * as recorded. Two engines with the same weights differ by their kernels and precision (Yao et al.,
 * "Your Efficient RL Framework Secretly Brings You Off-Policy RL Training", 2025); a temperature
 * that one of them applies and the other does not gives far larger differences.
 *
 * <p>The surprisal gap finds what Δ cannot show: an engine that samples from another distribution
 * than the one whose log-probs it records. Over samples of π_v the mean of H_t + log π_v(y_t) is 0.
 * A lower temperature, or a nucleus, makes it positive.
 */
final class LogProbMismatch {

  /** Rollouts of another sampler are refused above this number of standard errors. */
  static final double MOST_DEVIATIONS = 4;

  /** Bound of Δ in the exponential: one token does not make the estimate infinite. */
  private static final double MOST_DIFFERENCE = 20;

  private int rollouts;
  private long tokens;
  private double differences;
  private double largest;
  private double kl;

  // Of rollouts from the whole distribution.
  private long gapTokens;
  private double gaps;
  private double gapSquares;

  private LogProbMismatch() {}

  /** The mismatch of the rollouts that were measured; others are left out. */
  static LogProbMismatch of(List<ScoredRollout> batch) {
    LogProbMismatch mismatch = new LogProbMismatch();
    batch.stream().filter(ScoredRollout::isMeasured).forEach(mismatch::add);
    return mismatch;
  }

  private void add(ScoredRollout scored) {
    List<Float> recorded = scored.rollout().getLogProbs();
    float[] own = scored.samplerLogProbs();
    for (int t = 0; t < own.length; t++) {
      double difference = (double) own[t] - recorded.get(t);
      differences += Math.abs(difference);
      largest = Math.max(largest, Math.abs(difference));
      kl += k3(difference);
    }
    rollouts++;
    tokens += own.length;
    if (scored.rollout().getTopP() >= 1) {
      gaps += scored.surprisalGap();
      gapSquares += scored.surprisalGap() * scored.surprisalGap();
      gapTokens += own.length;
    }
  }

  /** Estimate of KL(π_b‖π_v) from a sample of π_b: r − 1 − log r with r = π_v/π_b. */
  private static double k3(double difference) {
    double bounded = Math.min(difference, MOST_DIFFERENCE);
    return Math.exp(bounded) - 1 - bounded;
  }

  /** Mean of |Δ_t|, in nats; 0 where nothing was measured. */
  double mean() {
    return tokens == 0 ? 0 : differences / tokens;
  }

  /** Mean of H_t + log π_v(y_t), in nats; 0 where nothing was measured. */
  double surprisalGap() {
    return gapTokens == 0 ? 0 : gaps / gapTokens;
  }

  /**
   * The surprisal gap in standard errors. The gaps g_i of whole responses are independent of each
   * other, and have mean 0 if π_v sampled: Σ g_i / √(Σ g_i²).
   */
  double surprisalDeviations() {
    return gapSquares > 0 ? gaps / Math.sqrt(gapSquares) : 0;
  }

  /**
   * Whether another distribution than the recorded one sampled these rollouts.
   *
   * @param bound on the gap, in nats per token
   */
  boolean isOfAnotherSampler(double bound) {
    return Math.abs(surprisalDeviations()) > MOST_DEVIATIONS && Math.abs(surprisalGap()) > bound;
  }

  /**
   * The metrics of a batch.
   *
   * @param size rollouts of the batch
   * @return by name; none where nothing was measured
   */
  Map<String, Double> metrics(int size) {
    if (rollouts == 0) {
      return Map.of();
    }
    return Map.of(
        "rollout/logprob_measured_share",
        (double) rollouts / size,
        "rollout/logprob_mismatch",
        mean(),
        "rollout/logprob_mismatch_max",
        largest,
        "rollout/logprob_mismatch_kl",
        kl / tokens,
        "rollout/surprisal_gap",
        surprisalGap(),
        "rollout/surprisal_deviations",
        surprisalDeviations());
  }
}
