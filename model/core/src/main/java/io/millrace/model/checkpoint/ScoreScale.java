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
}
