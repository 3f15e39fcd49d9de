package io.millrace.model.reward;

import io.millrace.model.training.Checks;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/**
 * Counts how often a reward model agrees with the annotators, and by how much, by rating (as Llama
 * 2 reports it, arXiv 2307.09288, section 3.2.2, table 8), and how {@linkplain Reliability
 * reliable} its probabilities are. Score a judgment before learning from it, and all of it is
 * held-out. Ratings are ordinals as in {@link Margin}.
 */
public final class Calibration {

  private final long[] judgments = new long[Margin.RATINGS];
  private final long[] agreed = new long[Margin.RATINGS];
  private final long[] ties = new long[Margin.RATINGS];
  private final double[] differences = new double[Margin.RATINGS];
  private final Reliability reliability;

  public Calibration() {
    this(new Reliability());
  }

  private Calibration(Reliability reliability) {
    this.reliability = reliability;
  }

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
    differences[rating] += chosen - rejected;
    reliability.add(chosen - rejected);
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

  /**
   * Mean of r_c − r_r over the judgments of a rating, which the {@link Margin} asks to grow with
   * it; NaN where there are none.
   */
  public double margin(int rating) {
    return differences[Margin.checkRating(rating)] / judgments[rating];
  }

  /** Mean of r_c − r_r over all judgments; NaN where there are none. */
  public double margin() {
    double sum = 0;
    for (double difference : differences) {
      sum += difference;
    }
    return sum / judgments();
  }

  /** Brier score, reliability bins and calibration error of all judgments. */
  public Reliability reliability() {
    return reliability;
  }

  public void write(DataOutput out) throws IOException {
    for (int rating = 0; rating < Margin.RATINGS; rating++) {
      out.writeLong(judgments[rating]);
      out.writeLong(agreed[rating]);
      out.writeLong(ties[rating]);
      out.writeDouble(differences[rating]);
    }
    reliability.write(out);
  }

  /**
   * What {@link #write} wrote.
   *
   * @throws IOException if it is no such thing
   */
  public static Calibration read(DataInput in) throws IOException {
    long[] judgments = new long[Margin.RATINGS];
    long[] agreed = new long[Margin.RATINGS];
    long[] ties = new long[Margin.RATINGS];
    double[] differences = new double[Margin.RATINGS];
    for (int rating = 0; rating < Margin.RATINGS; rating++) {
      judgments[rating] = in.readLong();
      agreed[rating] = in.readLong();
      ties[rating] = in.readLong();
      differences[rating] = in.readDouble();
      if (agreed[rating] < 0
          || ties[rating] < 0
          || agreed[rating] > judgments[rating] - ties[rating]) {
        throw new IOException(
            "not the state of a calibration: %d agreed and %d ties of %d"
                .formatted(agreed[rating], ties[rating], judgments[rating]));
      }
    }
    Calibration calibration = new Calibration(Reliability.read(in));
    System.arraycopy(judgments, 0, calibration.judgments, 0, Margin.RATINGS);
    System.arraycopy(agreed, 0, calibration.agreed, 0, Margin.RATINGS);
    System.arraycopy(ties, 0, calibration.ties, 0, Margin.RATINGS);
    System.arraycopy(differences, 0, calibration.differences, 0, Margin.RATINGS);
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
