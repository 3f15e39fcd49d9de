package io.millrace.model.tensor;

import java.util.Locale;

/** The numbers that a backend computes in. */
public enum Precision {
  /** Every tensor is float32. */
  FLOAT32,

  /**
   * Mixed precision (Micikevicius et al., arXiv 1710.03740). Activations and the copies of weights
   * that products read are bfloat16. Weights, moments, sums of gradients, norms, losses and
   * log-probabilities are float32.
   */
  BFLOAT16;

  /** The name in the configuration. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
