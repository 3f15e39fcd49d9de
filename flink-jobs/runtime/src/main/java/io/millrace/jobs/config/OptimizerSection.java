package io.millrace.jobs.config;

import io.millrace.model.tensor.AdamW;
import java.io.Serializable;

/** AdamW (Llama 2's settings are the defaults). */
public record OptimizerSection(
    @Option(value = "0.9", help = "Decay of the first moment.", min = "0", below = "1")
        double beta1,
    @Option(value = "0.95", help = "Decay of the second moment.", min = "0", below = "1")
        double beta2,
    @Option(
            value = "1e-5",
            help = "Added to the denominator, outside the square root.",
            above = "0")
        double epsilon,
    @Option(value = "0.1", help = "Weight decay of matrices; norms' weights have none.", min = "0")
        double weightDecay,
    @Option(value = "1.0", help = "The global gradient norm is clipped to this.", above = "0")
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
