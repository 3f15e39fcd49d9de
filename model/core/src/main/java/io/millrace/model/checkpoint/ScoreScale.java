package io.millrace.model.checkpoint;

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
 */
public record ScoreScale(int anchors, double pivot, double value, double below, double above) {

  /**
   * Checks every field.
   *
   * @throws IllegalArgumentException naming the field and its value
   */
  public ScoreScale {
    if (anchors < 1) {
      throw new IllegalArgumentException("scores.anchors is " + anchors + " but must be above 0");
    }
    finite("pivot", pivot);
    finite("value", value);
    slope("below", below);
    slope("above", above);
  }

  private static void finite(String name, double number) {
    if (!Double.isFinite(number)) {
      throw new IllegalArgumentException("scores." + name + " is " + number + ", not finite");
    }
  }

  private static void slope(String name, double slope) {
    finite(name, slope);
    if (slope <= 0) {
      throw new IllegalArgumentException("scores." + name + " is " + slope + ", not above 0");
    }
  }

  /**
   * The anchored score. A score below the pivot stays below {@code value}, and no other does,
   * whatever is rounded.
   */
  public float anchored(float score) {
    boolean isBelow = score < pivot;
    double exact = value + (score - pivot) * (isBelow ? below : above);
    float rounded = (float) exact;
    if (rounded < value == isBelow) {
      return rounded;
    }
    return isBelow ? Math.nextDown((float) value) : Math.nextUp((float) value);
  }
}
