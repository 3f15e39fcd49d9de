package io.millrace.jobs.config;

import io.millrace.model.tensor.AdamW;
import java.io.Serializable;

/** AdamW; the defaults are Llama 2's (arXiv 2307.09288, section 3.2.3). */
public record OptimizerSection(
    @Option(value = "0.9", help = "β₁: decay of the first moment.", min = "0", below = "1")
        double beta1,
    @Option(value = "0.95", help = "β₂: decay of the second moment.", min = "0", below = "1")
        double beta2,
    @Option(
            value = "1e-5",
            help = "ε, added to the denominator outside the square root.",
            min = "1e-12",
            max = "1")
        double epsilon,
    @Option(
            value = "0.1",
            help = "Weight decay of matrices; the gains of norms have none.",
            min = "0",
            max = "10")
        double weightDecay,
    @Option(
            value = "1.0",
            help = "Limit of the global gradient norm; larger gradients are scaled down to it.",
            min = "1e-6",
            max = "1e9")
        double maxGradientNorm)
    implements Serializable {

  public OptimizerSection {
    Require.accepted(
        "beta1 to max-gradient-norm",
        () -> new AdamW(beta1, beta2, epsilon, weightDecay, maxGradientNorm));
  }

  public AdamW adamW() {
    return new AdamW(beta1, beta2, epsilon, weightDecay, maxGradientNorm);
  }
}
