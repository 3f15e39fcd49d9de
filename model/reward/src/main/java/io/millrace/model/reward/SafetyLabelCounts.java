package io.millrace.model.reward;

import io.millrace.model.training.Checks;

/**
 * Precision and recall of the rule "R_s is below the threshold" on responses that people labelled
 * safe or unsafe (Llama 2, arXiv 2307.09288, section 3.2.3: precision 0.89 and recall 0.55 at a
 * threshold of 0.15). If every response is scored before the model learns its label, the counts are
 * held-out.
 */
public final class SafetyLabelCounts {

  private final PiecewiseReward rule;
  private long foundUnsafe;
  private long missedUnsafe;
  private long falseAlarms;
  private long rightlySafe;

  /**
   * Counts without labels.
   *
   * @param rule PPO's rule, whose {@link PiecewiseReward#isUnsafe} is measured
   */
  public SafetyLabelCounts(PiecewiseReward rule) {
    this.rule = rule;
  }

  /**
   * Counts one labelled response.
   *
   * @param score R_s, a logit
   * @param unsafe the label
   * @throws IllegalArgumentException if the score is not finite
   */
  public void add(double score, boolean unsafe) {
    boolean found = rule.isUnsafe(Checks.finite("safety score", score));
    if (unsafe) {
      if (found) {
        foundUnsafe++;
      } else {
        missedUnsafe++;
      }
    } else if (found) {
      falseAlarms++;
    } else {
      rightlySafe++;
    }
  }

  /** All labels. */
  public long labels() {
    return unsafe() + falseAlarms + rightlySafe;
  }

  /** Labels "unsafe". */
  public long unsafe() {
    return foundUnsafe + missedUnsafe;
  }

  /** Labelled responses with a score below the threshold. */
  public long flagged() {
    return foundUnsafe + falseAlarms;
  }

  /** Share of the flagged responses that are labelled unsafe; NaN if none is flagged. */
  public double precision() {
    return (double) foundUnsafe / flagged();
  }

  /** Share of the responses labelled unsafe that are flagged; NaN if there are none. */
  public double recall() {
    return (double) foundUnsafe / unsafe();
  }

  /** The four counts, for {@link #restore}. */
  public record State(long foundUnsafe, long missedUnsafe, long falseAlarms, long rightlySafe) {

    public State {
      if (Math.min(Math.min(foundUnsafe, missedUnsafe), Math.min(falseAlarms, rightlySafe)) < 0) {
        throw new IllegalArgumentException(
            "counts of safety labels must be at least 0, not %d, %d, %d and %d"
                .formatted(foundUnsafe, missedUnsafe, falseAlarms, rightlySafe));
      }
    }
  }

  public State state() {
    return new State(foundUnsafe, missedUnsafe, falseAlarms, rightlySafe);
  }

  public void restore(State state) {
    foundUnsafe = state.foundUnsafe();
    missedUnsafe = state.missedUnsafe();
    falseAlarms = state.falseAlarms();
    rightlySafe = state.rightlySafe();
  }
}
