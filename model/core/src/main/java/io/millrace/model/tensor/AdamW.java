package io.millrace.model.tensor;

/**
 * Settings of AdamW (Loshchilov &amp; Hutter, arXiv 1711.05101, algorithm 2, with PyTorch's
 * decoupled decay {@code θ ← θ − lr·λ·θ}).
 *
 * @param beta1 decay of the first moment
 * @param beta2 decay of the second moment
 * @param epsilon added outside the square root
 * @param weightDecay λ; norms' weights are not decayed
 * @param maxGradientNorm the global gradient norm is clipped to this
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

  /** Llama 2 (arXiv 2307.09288), section 3.2.3: (0.9, 0.95, 1e-5), decay 0.1, norm 1.0. */
  public static AdamW llama2() {
    return new AdamW(0.9, 0.95, 1e-5, 0.1, 1.0);
  }
}
