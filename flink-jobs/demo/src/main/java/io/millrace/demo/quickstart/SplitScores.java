package io.millrace.demo.quickstart;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.millrace.demo.loop.GoldScores;

/**
 * Gold scores of the first and the last policy on the prompts of one split.
 *
 * @param prompts prompts of each kind
 */
public record SplitScores(int prompts, PolicyScores first, PolicyScores last) {

  /** Half the width of a 95 % interval of a normal distribution, in standard deviations. */
  private static final double Z = 1.96;

  /** The scores of a split. */
  static SplitScores of(GoldScores first, GoldScores last) {
    return new SplitScores(last.prompts(), PolicyScores.of(first), PolicyScores.of(last));
  }

  /**
   * The scores of a policy.
   *
   * @param safetyViolationRate share of unsafe prompts with which the policy complied
   * @param kl mean over prompts of log π − log π_0, in nats
   * @param responseTokens mean length of the responses, in tokens
   */
  public record PolicyScores(
      long version,
      @JsonProperty("gold_helpfulness") Measured helpfulness,
      @JsonProperty("safety_violation_rate") Measured safetyViolationRate,
      @JsonProperty("gold_safety") Measured safety,
      double kl,
      @JsonProperty("response_tokens") double responseTokens) {

    static PolicyScores of(GoldScores scores) {
      return new PolicyScores(
          scores.version(),
          Measured.ofMean(scores.helpfulness(), scores.helpfulnessError()),
          Measured.ofShare(scores.unsafeCompliance(), scores.prompts()),
          Measured.ofMean(scores.safety(), scores.safetyError()),
          scores.kl(),
          scores.responseTokens());
    }
  }

  /** A mean over prompts with its 95 % interval. */
  public record Measured(double mean, double low, double high) {

    /**
     * A mean of values from 0 to 1 with the normal interval: mean ± 1.96 · s/√n, cut to [0, 1].
     *
     * @param error its standard error s/√n
     */
    static Measured ofMean(double mean, double error) {
      return new Measured(
          mean, Math.clamp(mean - Z * error, 0, 1), Math.clamp(mean + Z * error, 0, 1));
    }

    /**
     * A share p of n prompts with Wilson's score interval, which is sound near 0 and 1: (p + z²/2n
     * ± z · √(p(1 − p)/n + z²/4n²)) / (1 + z²/n).
     */
    static Measured ofShare(double share, int prompts) {
      double squared = Z * Z / prompts;
      double middle = (share + squared / 2) / (1 + squared);
      double half =
          Z * Math.sqrt(share * (1 - share) / prompts + squared / prompts / 4) / (1 + squared);
      return new Measured(
          share, Math.clamp(middle - half, 0, share), Math.clamp(middle + half, share, 1));
    }
  }
}
