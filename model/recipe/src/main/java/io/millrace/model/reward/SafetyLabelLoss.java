package io.millrace.model.reward;

import io.millrace.model.training.Checks;

/**
 * Binary cross-entropy of a response's safety label, {@code −log σ(s)} where it is safe and {@code
 * −log(1 − σ(s))} where it is unsafe. The safety reward model learns it beside the ranking loss
 * (Llama 2, arXiv 2307.09288, appendix A.3.3), which alone would leave the zero of its scores
 * undefined.
 *
 * @param loss at least 0
 * @param dScore derivative by the score, {@code σ(s) − label}
 */
public record SafetyLabelLoss(double loss, double dScore) {

  /**
   * The loss at one response.
   *
   * @param score s, the safety reward model's
   * @param safe the response's label
   * @throws IllegalArgumentException if the score is not finite
   */
  public static SafetyLabelLoss of(double score, boolean safe) {
    Checks.finite("safety score", score);
    return safe
        ? new SafetyLabelLoss(Logistic.softplus(-score), -Logistic.sigmoid(-score))
        : new SafetyLabelLoss(Logistic.softplus(score), Logistic.sigmoid(score));
  }
}
