package io.millrace.model.tensor;

/**
 * Rotary position embedding (Su et al., arXiv 2104.09864). At position p it rotates the pair (j, j
 * + headDim/2) of a head by p · θ_j radians. Before scaling, θ_j = theta^(−2j/headDim) for j from 0
 * (equation 15, which counts from 1).
 *
 * @param headDim width of a head, even
 * @param theta base of the frequencies, above 0 ({@code rope_theta})
 * @param scaling change of the frequencies ({@code rope_scaling})
 */
public record Rope(int headDim, double theta, RopeScaling scaling) {

  public Rope {
    if (headDim < 2 || headDim % 2 != 0) {
      throw new IllegalArgumentException(
          "headDim is "
              + headDim
              + " but must be even and above 0: rotary embedding rotates pairs");
    }
    if (!(theta > 0 && Double.isFinite(theta))) {
      throw new IllegalArgumentException("theta is " + theta + " but must be above 0, finite");
    }
    if (scaling == null) {
      throw new IllegalArgumentException("scaling is null; use RopeScaling.NONE for none");
    }
  }

  /** A rotary embedding without scaling. */
  public Rope(int headDim, double theta) {
    this(headDim, theta, RopeScaling.NONE);
  }

  /**
   * The frequencies θ_j with the scaling applied, in radians per position, {@code [headDim / 2]}; a
   * new array.
   */
  public double[] inverseFrequencies() {
    double[] frequencies = new double[headDim / 2];
    for (int j = 0; j < frequencies.length; j++) {
      frequencies[j] = scaling.scaled(Math.pow(theta, -2.0 * j / headDim));
    }
    return frequencies;
  }
}
