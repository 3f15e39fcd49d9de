package io.millrace.model.rlhf;

/**
 * Binary cross-entropy of a safety score on a response's label, beside the ranking loss (Llama 2,
 * arXiv 2307.09288, table 29): it fixes the score's zero, which ranking leaves open.
 */
public final class SafetyLabelLoss {

  private SafetyLabelLoss() {}

  /** −log σ(score) for a safe response, −log σ(−score) for an unsafe one. */
  public static double loss(double score, boolean unsafe) {
    return Logistic.softplus(unsafe ? score : -score);
  }

  /** Its derivative by the score. */
  public static double derivative(double score, boolean unsafe) {
    return Logistic.sigmoid(score) - (unsafe ? 0 : 1);
  }
}
