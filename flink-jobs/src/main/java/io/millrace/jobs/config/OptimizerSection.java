package io.millrace.jobs.config;

import io.millrace.model.tensor.AdamW;
import java.io.Serializable;

/** AdamW (Llama 2's settings are the defaults). */
public record OptimizerSection(
    @Option(value = "0.9", help = "Decay of the first moment.") double beta1,
    @Option(value = "0.95", help = "Decay of the second moment.") double beta2,
    @Option(value = "1e-5", help = "Added to the denominator, outside the square root.")
        double epsilon,
    @Option(value = "0.1", help = "Weight decay of matrices; norms' weights have none.")
        double weightDecay,
    @Option(value = "1.0", help = "The global gradient norm is clipped to this.")
        double maxGradientNorm)
    implements Serializable {

  public OptimizerSection {
    Require.between("beta1", beta1, 0, Math.nextDown(1.0));
    Require.between("beta2", beta2, 0, Math.nextDown(1.0));
    Require.positive("epsilon", epsilon);
    Require.between("weight-decay", weightDecay, 0, Double.MAX_VALUE);
    Require.positive("max-gradient-norm", maxGradientNorm);
  }

  public AdamW adamW() {
    return new AdamW(beta1, beta2, epsilon, weightDecay, maxGradientNorm);
  }
}
