package io.millrace.model.reward;

import io.millrace.model.training.Checks;

/**
 * Binary cross-entropy of a response's safety label: {@code −log σ(s)} for a safe response and
 * {@code −log(1 − σ(s))} for an unsafe one. The safety reward model learns it beside the ranking
 * loss (Llama 2, arXiv 2307.09288, appendix A.3.3). The ranking loss alone depends on differences
 * of scores only, so it does not define the zero of the scores.
 *
 * @param loss at least 0
 * @param dScore derivative with respect to the score: σ(s) − 1 if safe, σ(s) if unsafe
 */
record SafetyLabelLoss(double loss, double dScore) {

  /**
   * The loss at one response.
   *
   * @param score s, the response's score by the safety reward model
   * @param safe the response's label
   * @throws IllegalArgumentException if the score is not finite
   */
  static SafetyLabelLoss of(double score, boolean safe) {
    Checks.finite("safety score", score);
    return safe
        ? new SafetyLabelLoss(Logistic.softplus(-score), -Logistic.sigmoid(-score))
        : new SafetyLabelLoss(Logistic.softplus(score), Logistic.sigmoid(score));
  }
}
