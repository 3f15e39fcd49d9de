package io.millrace.model.tensor;

/**
 * A change of the rotary frequencies that lets a model reach further than its first training. The
 * types and their names are Hugging Face's ({@code rope_scaling.rope_type} in {@code config.json}).
 */
public sealed interface RopeScaling {

  /** No scaling. */
  RopeScaling NONE = new None();

  /**
   * The scaled frequency.
   *
   * @param frequency θ_j, in radians per position
   */
  double scaled(double frequency);

  /** Type {@code default}: the frequencies stay unchanged. */
  record None() implements RopeScaling {
    @Override
    public double scaled(double frequency) {
      return frequency;
    }
  }

  /**
   * Type {@code linear}: positions are divided by the factor (Chen et al., arXiv 2306.15595,
   * equation 4).
   *
   * @param factor at least 1
   */
  record Linear(double factor) implements RopeScaling {
    public Linear {
      requireFactor(factor);
    }

    @Override
    public double scaled(double frequency) {
      return frequency / factor;
    }
  }

  /**
   * Type {@code llama3}, as in Llama 3.1 (arXiv 2407.21783; {@code apply_scaling} of Meta's
   * release). Let r = originalMaxPositions · θ / 2π, the number of turns that a frequency makes
   * over the length of the first training:
   *
   * <pre>
   *   r &lt; lowFrequencyFactor    θ / factor
   *   r &gt; highFrequencyFactor   θ
   *   between                   (1 − s) · θ / factor + s · θ,
   *                             s = (r − lowFrequencyFactor) / (highFrequencyFactor − lowFrequencyFactor)
   * </pre>
   *
   * @param factor at least 1 ({@code factor})
   * @param lowFrequencyFactor number of turns below which a frequency is divided ({@code
   *     low_freq_factor})
   * @param highFrequencyFactor number of turns above which a frequency is kept ({@code
   *     high_freq_factor})
   * @param originalMaxPositions length of the first training in tokens ({@code
   *     original_max_position_embeddings})
   */
  record Llama3(
      double factor,
      double lowFrequencyFactor,
      double highFrequencyFactor,
      int originalMaxPositions)
      implements RopeScaling {
    public Llama3 {
      requireFactor(factor);
      if (!(lowFrequencyFactor > 0)) {
        throw new IllegalArgumentException(
            "lowFrequencyFactor is " + lowFrequencyFactor + " but must be above 0");
      }
      if (!(highFrequencyFactor > lowFrequencyFactor && Double.isFinite(highFrequencyFactor))) {
        throw new IllegalArgumentException(
            "highFrequencyFactor is %s but must be above lowFrequencyFactor (%s), finite"
                .formatted(highFrequencyFactor, lowFrequencyFactor));
      }
      if (originalMaxPositions < 1) {
        throw new IllegalArgumentException(
            "originalMaxPositions is " + originalMaxPositions + " but must be above 0");
      }
    }

    @Override
    public double scaled(double frequency) {
      double turns = originalMaxPositions * frequency / (2 * Math.PI);
      double kept = (turns - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
      double share = Math.clamp(kept, 0.0, 1.0);
      return (1 - share) * frequency / factor + share * frequency;
    }
  }

  private static void requireFactor(double factor) {
    if (!(factor >= 1 && Double.isFinite(factor))) {
      throw new IllegalArgumentException("factor is " + factor + " but must be at least 1, finite");
    }
  }
}
