package io.millrace.model.reward;

import io.millrace.model.training.Checks;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/**
 * How well "R_s is below the threshold" finds the responses that people labelled unsafe (Llama 2,
 * arXiv 2307.09288, section 3.2.3: precision 0.89 and recall 0.55 at 0.15). Score a response before
 * learning its label, and the figures are held-out.
 */
public final class SafetyLabelCounts {

  private final PiecewiseReward rule;
  private long foundUnsafe;
  private long missedUnsafe;
  private long falseAlarms;
  private long rightlySafe;

  /**
   * No labels yet.
   *
   * @param rule whose {@link PiecewiseReward#isUnsafe} is judged: the one that PPO applies
   */
  public SafetyLabelCounts(PiecewiseReward rule) {
    this.rule = rule;
  }

  /**
   * Counts one labelled response.
   *
   * @param score the safety reward model's
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

  /** Labels seen. */
  public long labels() {
    return unsafe() + falseAlarms + rightlySafe;
  }

  /** Labels that say unsafe. */
  public long unsafe() {
    return foundUnsafe + missedUnsafe;
  }

  /** Labelled responses that are below the threshold. */
  public long flagged() {
    return foundUnsafe + falseAlarms;
  }

  /** Share of the flagged that are labelled unsafe; NaN where none is flagged. */
  public double precision() {
    return (double) foundUnsafe / flagged();
  }

  /** Share of those labelled unsafe that are flagged; NaN where there are none. */
  public double recall() {
    return (double) foundUnsafe / unsafe();
  }

  public void write(DataOutput out) throws IOException {
    out.writeLong(foundUnsafe);
    out.writeLong(missedUnsafe);
    out.writeLong(falseAlarms);
    out.writeLong(rightlySafe);
  }

  /** Takes what {@link #write} wrote. */
  public void read(DataInput in) throws IOException {
    foundUnsafe = in.readLong();
    missedUnsafe = in.readLong();
    falseAlarms = in.readLong();
    rightlySafe = in.readLong();
    if (Math.min(Math.min(foundUnsafe, missedUnsafe), Math.min(falseAlarms, rightlySafe)) < 0) {
      throw new IOException("not the state of safety label counts: a count is negative");
    }
  }
}
