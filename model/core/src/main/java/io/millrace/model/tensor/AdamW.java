package io.millrace.model.tensor;

/**
 * Settings of AdamW (Loshchilov &amp; Hutter, arXiv 1711.05101, algorithm 2, with PyTorch's form of
 * the decay, {@code θ ← θ − lr·λ·θ}). {@link Backend#adamW} gives the formula.
 *
 * @param beta1 β₁, decay of the first moment
 * @param beta2 β₂, decay of the second moment
 * @param epsilon ε, added to the square root of the second moment
 * @param weightDecay λ for matrices; the gains of norms are not decayed
 * @param maxGradientNorm gradients with a larger global norm are scaled down to this norm
 */
public record AdamW(
    double beta1, double beta2, double epsilon, double weightDecay, double maxGradientNorm) {

  public AdamW {
    check("beta1", beta1, beta1 >= 0 && beta1 < 1, "in [0, 1)");
    check("beta2", beta2, beta2 >= 0 && beta2 < 1, "in [0, 1)");
    check("epsilon", epsilon, epsilon > 0, "above 0");
    check("weightDecay", weightDecay, weightDecay >= 0, "at least 0");
    check("maxGradientNorm", maxGradientNorm, maxGradientNorm > 0, "above 0");
  }

  private static void check(String name, double value, boolean valid, String range) {
    if (!valid) {
      throw new IllegalArgumentException(name + " must be " + range + ", not " + value);
    }
  }

  /**
   * Settings of Llama 2 (arXiv 2307.09288, section 3.2.3): β (0.9, 0.95), ε 1e-5, decay 0.1, norm
   * 1.0.
   */
  public static AdamW llama2() {
    return new AdamW(0.9, 0.95, 1e-5, 0.1, 1.0);
  }
}
