package io.millrace.model.rlhf;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/**
 * Counts how often a reward model agrees with the annotators, by rating (as Llama 2 reports it,
 * arXiv 2307.09288, section 3.2.2, table 8). Score a judgment before learning from it, and the
 * accuracy is held-out. Ratings are ordinals as in {@link Margin}.
 */
public final class Calibration {

  private final long[] judgments = new long[Margin.RATINGS];
  private final long[] agreed = new long[Margin.RATINGS];
  private final long[] ties = new long[Margin.RATINGS];

  /**
   * Counts one judgment. Equal scores agree by half, as a coin would: a fresh reward model, whose
   * head is zero, stands at 0.5 and not at 0.
   *
   * @throws IllegalArgumentException if a score is not finite or the rating is not 0 to 3
   */
  public void add(double chosen, double rejected, int rating) {
    Checks.finite("chosen response's score", chosen);
    Checks.finite("rejected response's score", rejected);
    judgments[Margin.checkRating(rating)]++;
    if (chosen > rejected) {
      agreed[rating]++;
    } else if (chosen == rejected) {
      ties[rating]++;
    }
  }

  public long judgments(int rating) {
    return judgments[Margin.checkRating(rating)];
  }

  public long judgments() {
    return sum(judgments);
  }

  /** Share of the judgments of a rating that the model agrees with; NaN where there are none. */
  public double accuracy(int rating) {
    int at = Margin.checkRating(rating);
    return (agreed[at] + ties[at] / 2.0) / judgments[at];
  }

  /** Share of all judgments that the model agrees with; NaN where there are none. */
  public double accuracy() {
    return (sum(agreed) + sum(ties) / 2.0) / judgments();
  }

  public void write(DataOutput out) throws IOException {
    for (int rating = 0; rating < Margin.RATINGS; rating++) {
      out.writeLong(judgments[rating]);
      out.writeLong(agreed[rating]);
      out.writeLong(ties[rating]);
    }
  }

  /**
   * What {@link #write} wrote.
   *
   * @throws IOException if it is no such thing
   */
  public static Calibration read(DataInput in) throws IOException {
    Calibration calibration = new Calibration();
    for (int rating = 0; rating < Margin.RATINGS; rating++) {
      long judgments = in.readLong();
      long agreed = in.readLong();
      long ties = in.readLong();
      if (agreed < 0 || ties < 0 || agreed > judgments - ties) {
        throw new IOException(
            "not the state of a calibration: %d agreed and %d ties of %d"
                .formatted(agreed, ties, judgments));
      }
      calibration.judgments[rating] = judgments;
      calibration.agreed[rating] = agreed;
      calibration.ties[rating] = ties;
    }
    return calibration;
  }

  private static long sum(long[] counts) {
    long sum = 0;
    for (long count : counts) {
      sum += count;
    }
    return sum;
  }
}
