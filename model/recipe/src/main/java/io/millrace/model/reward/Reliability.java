package io.millrace.model.reward;

import io.millrace.model.training.Checks;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/**
 * Whether a reward model is as sure as it is right. It predicts that the response with the higher
 * score is preferred, with probability σ(|difference of the scores|) (Bradley–Terry, as the ranking
 * loss has it): its confidence, from 0.5 to 1. Predictions are put in {@value #BINS} bins of equal
 * width by their confidence, and the expected calibration error is their mean distance from the
 * share that came true (Guo et al., arXiv 1706.04599, equation 3). The Brier score is the mean
 * square of 1 − P(preferred) (Brier, Monthly Weather Review 78(1), 1950): 0.25 for a model that
 * cannot tell.
 */
public final class Reliability {

  /** Bins of the confidence. */
  public static final int BINS = 10;

  private static final double LOWEST = 0.5;

  private final long[] predictions = new long[BINS];
  private final double[] confidence = new double[BINS];
  private final double[] correct = new double[BINS];
  private double squares;

  /**
   * Counts one prediction. Equal scores come true by half.
   *
   * @param difference score of the preferred response minus that of the other
   * @throws IllegalArgumentException if it is not finite
   */
  public void add(double difference) {
    Checks.finite("difference of the scores", difference);
    double sure = Logistic.sigmoid(Math.abs(difference));
    int bin = Math.min(BINS - 1, (int) ((sure - LOWEST) / (1 - LOWEST) * BINS));
    predictions[bin]++;
    confidence[bin] += sure;
    correct[bin] += difference > 0 ? 1 : difference < 0 ? 0 : 0.5;
    double missed = Logistic.sigmoid(-difference);
    squares += missed * missed;
  }

  /** All predictions. */
  public long predictions() {
    long sum = 0;
    for (long count : predictions) {
      sum += count;
    }
    return sum;
  }

  /** Predictions in a bin, 0 to {@value #BINS} − 1. */
  public long predictions(int bin) {
    return predictions[bin];
  }

  /** Mean confidence of a bin's predictions; NaN where there are none. */
  public double confidence(int bin) {
    return confidence[bin] / predictions[bin];
  }

  /** Share of a bin's predictions that came true; NaN where there are none. */
  public double accuracy(int bin) {
    return correct[bin] / predictions[bin];
  }

  /** Mean square of 1 − P(preferred), 0 to 1; NaN where there are no predictions. */
  public double brier() {
    return squares / predictions();
  }

  /** Mean distance between confidence and accuracy, 0 to 1; NaN where there are no predictions. */
  public double expectedCalibrationError() {
    double sum = 0;
    for (int bin = 0; bin < BINS; bin++) {
      sum += Math.abs(correct[bin] - confidence[bin]);
    }
    return sum / predictions();
  }

  public void write(DataOutput out) throws IOException {
    out.writeInt(BINS);
    for (int bin = 0; bin < BINS; bin++) {
      out.writeLong(predictions[bin]);
      out.writeDouble(confidence[bin]);
      out.writeDouble(correct[bin]);
    }
    out.writeDouble(squares);
  }

  /**
   * What {@link #write} wrote.
   *
   * @throws IOException if it is no such thing
   */
  public static Reliability read(DataInput in) throws IOException {
    int bins = in.readInt();
    if (bins != BINS) {
      throw new IOException(
          "not the state of a reliability diagram: %d bins, not %d".formatted(bins, BINS));
    }
    Reliability reliability = new Reliability();
    for (int bin = 0; bin < BINS; bin++) {
      reliability.predictions[bin] = in.readLong();
      reliability.confidence[bin] = in.readDouble();
      reliability.correct[bin] = in.readDouble();
    }
    reliability.squares = in.readDouble();
    return reliability;
  }
}
