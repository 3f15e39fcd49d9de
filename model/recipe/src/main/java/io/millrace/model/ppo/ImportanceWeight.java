package io.millrace.model.ppo;

import io.millrace.model.training.Checks;

/**
 * The weight of a token that another policy sampled, {@code min(π_prox / π_behaviour, limit)}: what
 * decoupled PPO multiplies a token's loss with (Hilton et al., arXiv 2110.00641, equation 5; AReaL,
 * arXiv 2505.24298, equation 5), truncated from above (Espeholt et al., arXiv 1802.01561, section
 * 4.1), which bounds the variance that old samples bring.
 *
 * <p>π_prox is the policy as it stands when the PPO batch begins: the clip is around it, so that
 * staleness costs no learning step. Where it sampled the token itself, the weight is 1.
 *
 * @param limit at least 1; 1 never lets an old token count for more than a fresh one
 */
public record ImportanceWeight(double limit) {

  /**
   * Few tokens reach it. At 2 the policy learns too little of what it has come to say more often,
   * the KL penalty on it included: four versions behind, it runs away (docs/quickstart.md).
   */
  public static final double DEFAULT_LIMIT = 10;

  public ImportanceWeight {
    Checks.that(limit >= 1 && Double.isFinite(limit), "limit", limit, "finite and at least 1");
  }

  /**
   * The weight of one token.
   *
   * @param proximalLogProb log π_prox of the token, in nats
   * @param behaviourLogProb log π_behaviour of the same token, in nats
   * @throws IllegalArgumentException if one is not finite
   */
  public double of(double proximalLogProb, double behaviourLogProb) {
    return Math.min(limit, ratio(proximalLogProb, behaviourLogProb));
  }

  /** π_prox / π_behaviour of one token, before it is truncated. */
  static double ratio(double proximalLogProb, double behaviourLogProb) {
    Checks.finite("proximal log-prob", proximalLogProb);
    Checks.finite("behaviour log-prob", behaviourLogProb);
    return Math.exp(Math.min(proximalLogProb - behaviourLogProb, 700));
  }
}
