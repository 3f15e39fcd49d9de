package io.millrace.world;

/**
 * How hard a demo world is to learn from. The plain world has right flags, right labels, careful
 * annotators and one judgment a pair.
 *
 * @param testTasks whether some tasks occur in demonstrations only, and are held out for a test
 * @param wrongFlags share of prompts with a wrong safety flag
 * @param wrongLabels share of wrong safety labels in the judgments of honest annotators
 * @param adversarial share of judgments by adversarial annotators, from 0 to 0.5
 * @param overlap share of pairs that a second and a third annotator judge too
 */
public record Difficulty(
    boolean testTasks, double wrongFlags, double wrongLabels, double adversarial, double overlap) {

  /** Share of judgments by adversarial annotators in a hard world. */
  public static final double ADVERSARIAL = 0.1;

  /** The world that the documented results come from. */
  public static final Difficulty PLAIN = new Difficulty(false, 0, 0, 0, 0);

  /** The largest share of adversarial judgments. */
  public static final double MOST_ADVERSARIAL = 0.5;

  public Difficulty {
    if (!(adversarial >= 0 && adversarial <= MOST_ADVERSARIAL)) {
      throw new IllegalArgumentException(
          "the share of adversarial judgments must be from 0 to %s, not %s"
              .formatted(MOST_ADVERSARIAL, adversarial));
    }
  }

  /**
   * A hard world.
   *
   * @param adversarial share of judgments by adversarial annotators, from 0 to 0.5
   */
  public static Difficulty hard(double adversarial) {
    return new Difficulty(true, 0.05, 0.05, adversarial, 0.05);
  }

  /** Whether this is the plain world. */
  public boolean isPlain() {
    return equals(PLAIN);
  }
}
