package io.millrace.model.reward;

import io.millrace.model.training.Checks;
import java.util.Arrays;

/**
 * Counts how often a reward model agrees with the annotators, and with what difference of scores,
 * by rating (Llama 2, arXiv 2307.09288, section 3.2.2, table 8). It also measures the {@linkplain
 * Reliability reliability} of the model's probabilities. If every judgment is scored before the
 * model learns from it, all metrics are held-out. Ratings are ordinals as in {@link Margin}.
 */
public final class Calibration {

  /** By rating, {@code [RATINGS]}. */
  private final long[] judgments;

  private final long[] agreed;
  private final long[] ties;
  private final double[] differences;
  private final Reliability reliability;

  public Calibration() {
    this(
        new State(
            new long[Margin.RATINGS],
            new long[Margin.RATINGS],
            new long[Margin.RATINGS],
            new double[Margin.RATINGS],
            new Reliability().state()));
  }

  private Calibration(State state) {
    judgments = state.judgments().clone();
    agreed = state.agreed().clone();
    ties = state.ties().clone();
    differences = state.differences().clone();
    reliability = Reliability.of(state.reliability());
  }

  /**
   * Counts one judgment. Equal scores count as half an agreement, as a coin would score: a fresh
   * reward model, whose head is zero, has an accuracy of 0.5.
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

  /** Share of a rating's judgments that the model agrees with; NaN if there are none. */
  public double accuracy(int rating) {
    int at = Margin.checkRating(rating);
    return (agreed[at] + ties[at] / 2.0) / judgments[at];
  }

  /** Share of all judgments that the model agrees with; NaN if there are none. */
  public double accuracy() {
    return (sum(agreed) + sum(ties) / 2.0) / judgments();
  }

  /**
   * Mean of r_c − r_r over the judgments of a rating; NaN if there are none. The {@link Margin}
   * asks for a larger difference for a stronger rating.
   */
  public double margin(int rating) {
    return differences[Margin.checkRating(rating)] / judgments[rating];
  }

  /** Mean of r_c − r_r over all judgments; NaN if there are none. */
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

  /**
   * The counts, for {@link #of}. Arrays are by rating, {@code [RATINGS]}.
   *
   * @param differences sums of r_c − r_r
   */
  public record State(
      long[] judgments,
      long[] agreed,
      long[] ties,
      double[] differences,
      Reliability.State reliability) {

    public State {
      Checks.sameLength("judgments by rating", judgments.length, Margin.RATINGS);
      Checks.sameLength("agreements by rating", agreed.length, Margin.RATINGS);
      Checks.sameLength("ties by rating", ties.length, Margin.RATINGS);
      Checks.sameLength("differences by rating", differences.length, Margin.RATINGS);
      for (int rating = 0; rating < Margin.RATINGS; rating++) {
        if (Math.min(agreed[rating], ties[rating]) < 0
            || agreed[rating] > judgments[rating] - ties[rating]) {
          throw new IllegalArgumentException(
              "a calibration cannot have agreements %s and ties %s of judgments %s"
                  .formatted(
                      Arrays.toString(agreed), Arrays.toString(ties), Arrays.toString(judgments)));
        }
      }
    }
  }

  public State state() {
    return new State(
        judgments.clone(), agreed.clone(), ties.clone(), differences.clone(), reliability.state());
  }

  /** A calibration that continues from a state. */
  public static Calibration of(State state) {
    return new Calibration(state);
  }

  private static long sum(long[] counts) {
    long sum = 0;
    for (long count : counts) {
      sum += count;
    }
    return sum;
  }
}
