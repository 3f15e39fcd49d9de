package io.millrace.model.ppo;

import io.millrace.model.training.Checks;

/**
 * What a response loses for its length: {@code perToken · max(0, tokens − free)}, on the whitened
 * reward, as the truncation penalty is. Reward models prefer long responses beyond what people do
 * (Singhal et al., arXiv 2310.03716, whose section 4.2 penalises length in the reward). With free =
 * 0 the penalty is linear in the whole length.
 *
 * @param perToken penalty of each token beyond the free ones, at least 0
 * @param free tokens that cost nothing, at least 0
 */
public record LengthPenalty(double perToken, int free) {

  /** No penalty. */
  public static final LengthPenalty NONE = new LengthPenalty(0, 0);

  public LengthPenalty {
    Checks.that(
        perToken >= 0 && Double.isFinite(perToken),
        "length-penalty",
        perToken,
        "finite and at least 0");
    Checks.that(free >= 0, "length-penalty-from", free, "at least 0");
  }

  /** The penalty of a response of some tokens, its stop token included. */
  double of(int tokens) {
    return perToken * Math.max(0, tokens - free);
  }
}
