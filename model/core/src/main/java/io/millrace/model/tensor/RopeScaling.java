package io.millrace.model.tensor;

/**
 * How rotary frequencies are changed to reach further than a model was first trained for. The forms
 * and their names are Hugging Face's ({@code rope_scaling.rope_type} in {@code config.json}).
 */
public sealed interface RopeScaling {

  /** Frequencies as they are. */
  RopeScaling NONE = new None();

  /**
   * The frequency to turn by in place of {@code frequency}.
   *
   * @param frequency θ_j, in radians a position
   */
  double scaled(double frequency);

  /** Type {@code default}: no scaling. */
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
   * release). With r = originalMaxPositions · θ / 2π, the turns that a frequency makes over the
   * first training's length:
   *
   * <pre>
   *   r &lt; lowFrequencyFactor    θ / factor
   *   r &gt; highFrequencyFactor   θ
   *   between                   (1 − s) · θ / factor + s · θ,
   *                             s = (r − lowFrequencyFactor) / (highFrequencyFactor − lowFrequencyFactor)
   * </pre>
   *
   * @param factor at least 1 ({@code factor})
   * @param lowFrequencyFactor turns below which a frequency is divided ({@code low_freq_factor})
   * @param highFrequencyFactor turns above which it is kept ({@code high_freq_factor})
   * @param originalMaxPositions the first training's length in tokens ({@code
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
