package io.millrace.model.checkpoint;

import java.util.List;

/**
 * Maps the scores of a reward model's version to anchored scores, which versions share. The map is
 * strictly increasing and linear on both sides of a pivot:
 *
 * <pre>
 * anchored(s) = value + (s − pivot) · (s &lt; pivot ? below : above)
 * </pre>
 *
 * @param anchors responses that it was measured on
 * @param pivot a score
 * @param value the anchored score of the pivot
 * @param below slope for scores below the pivot, above 0
 * @param above slope for the other scores, above 0
 * @param headOffsets of an ensemble: by how much the mean score of each head on the anchors exceeds
 *     that of the mean of the heads; the ranking loss leaves it open. Empty for one head
 */
public record ScoreScale(
    int anchors, double pivot, double value, double below, double above, List<Double> headOffsets) {

  private static final double STEEPEST = 1e6;

  /**
   * Checks every field.
   *
   * @throws IllegalArgumentException naming the field and its value
   */
  public ScoreScale {
    if (anchors < 1) {
      throw new IllegalArgumentException("scores.anchors is " + anchors + " but must be above 0");
    }
    score("pivot", pivot);
    score("value", value);
    slope("below", below);
    slope("above", above);
    headOffsets = List.copyOf(headOffsets);
    headOffsets.forEach(offset -> score("headOffsets", offset));
  }

  /** The scale of a model with one head. */
  public ScoreScale(int anchors, double pivot, double value, double below, double above) {
    this(anchors, pivot, value, below, above, List.of());
  }

  /** The scale of the mean of several heads. */
  public ScoreScale withHeadOffsets(List<Double> offsets) {
    return new ScoreScale(anchors, pivot, value, below, above, offsets);
  }

  private static void score(String name, double number) {
    if (!(Math.abs(number) <= Float.MAX_VALUE)) {
      throw new IllegalArgumentException(
          "scores." + name + " is " + number + " but must be a score: finite in float32");
    }
  }

  private static void slope(String name, double slope) {
    if (!(slope >= Float.MIN_VALUE && slope <= STEEPEST)) {
      throw new IllegalArgumentException(
          "scores." + name + " is " + slope + " but must be above 0 and at most " + STEEPEST);
    }
  }

  /**
   * The anchored score. A score below the pivot stays below {@code value}, and no other does,
   * whatever is rounded. It is finite.
   */
  public float anchored(float score) {
    boolean isBelow = score < pivot;
    double exact = value + (score - pivot) * (isBelow ? below : above);
    float rounded = (float) Math.clamp(exact, -Float.MAX_VALUE, Float.MAX_VALUE);
    if (rounded < value == isBelow) {
      return rounded;
    }
    return isBelow ? Math.nextDown((float) value) : Math.nextUp((float) value);
  }

  /**
   * The anchored scores of an ensemble's heads for one response. Their mean is the anchored score
   * of the mean, up to rounding, and their distances from it are stretched by the slope there.
   *
   * @param scores of the heads, {@code [heads]}
   * @param mean of these scores
   */
  public float[] anchored(float[] scores, float mean) {
    double slope = mean < pivot ? below : above;
    float centre = anchored(mean);
    float[] anchored = new float[scores.length];
    for (int head = 0; head < scores.length; head++) {
      double offset = headOffsets.isEmpty() ? 0 : headOffsets.get(head);
      double exact = centre + (scores[head] - offset - mean) * slope;
      anchored[head] = (float) Math.clamp(exact, -Float.MAX_VALUE, Float.MAX_VALUE);
    }
    return anchored;
  }
}
