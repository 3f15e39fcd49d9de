package io.millrace.model.reward;

import io.millrace.model.training.Checks;

/**
 * The ranking loss at one judgment with its derivatives, without overflow for any scores.
 *
 * @param loss at least 0
 * @param dChosen derivative with respect to the chosen response's score, in [−1, 0]
 */
record RankingLoss(double loss, double dChosen) {

  /**
   * −log σ(r_c − r_r − m) (Llama 2, arXiv 2307.09288, section 3.2.2, equation 2).
   *
   * @param chosen r_c, score of the preferred response
   * @param rejected r_r, score of the other response
   * @param margin m, at least 0 ({@link Margin#of})
   * @throws IllegalArgumentException if an argument is not finite
   */
  static RankingLoss of(double chosen, double rejected, double margin) {
    Checks.finite("chosen response's score", chosen);
    Checks.finite("rejected response's score", rejected);
    Checks.that(margin >= 0 && Double.isFinite(margin), "margin", margin, "finite and at least 0");
    double shortfall = margin - (chosen - rejected);
    return new RankingLoss(Logistic.softplus(shortfall), -Logistic.sigmoid(shortfall));
  }

  /** Derivative with respect to the rejected response's score. */
  double dRejected() {
    return -dChosen;
  }
}
