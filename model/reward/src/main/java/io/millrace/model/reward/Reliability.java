package io.millrace.model.reward;

import io.millrace.model.training.Checks;

/**
 * Compares a reward model's confidence with how often it is right. The model predicts that the
 * response with the higher score is preferred. Its confidence is σ(|difference of the scores|),
 * from 0.5 to 1 (the Bradley–Terry model of the ranking loss). Predictions go to {@value #BINS}
 * bins of equal width by confidence.
 *
 * <ul>
 *   <li>Expected calibration error: mean distance, over the bins' predictions, between confidence
 *       and the share of correct predictions (Guo et al., arXiv 1706.04599, equations 2 to 5).
 *   <li>Brier score: mean of (1 − P(preferred))² (Brier, Monthly Weather Review 78(1), 1950); 0.25
 *       for a model whose scores are all equal.
 * </ul>
 */
public final class Reliability {

  /** Bins of the confidence. */
  public static final int BINS = 10;

  private static final double LOWEST = 0.5;

  /** By bin, {@code [BINS]}. */
  private final long[] predictions;

  private final double[] confidence;
  private final double[] correct;
  private double squares;

  Reliability() {
    this(new State(new long[BINS], new double[BINS], new double[BINS], 0));
  }

  private Reliability(State state) {
    predictions = state.predictions().clone();
    confidence = state.confidence().clone();
    correct = state.correct().clone();
    squares = state.squares();
  }

  /**
   * Counts one prediction. Equal scores count as half a correct prediction.
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
    correct[bin] += correct(difference);
    double missed = Logistic.sigmoid(-difference);
    squares += missed * missed;
  }

  /**
   * How far a prediction is correct: 1, 0, or a half for equal scores.
   *
   * @param difference score of the preferred response minus that of the other
   */
  public static double correct(double difference) {
    return difference > 0 ? 1 : difference < 0 ? 0 : 0.5;
  }

  /** Predictions in all bins. */
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

  /** Mean confidence of a bin's predictions; NaN if there are none. */
  public double confidence(int bin) {
    return confidence[bin] / predictions[bin];
  }

  /** Share of a bin's predictions that are correct; NaN if there are none. */
  public double accuracy(int bin) {
    return correct[bin] / predictions[bin];
  }

  /** Mean square of 1 − P(preferred), 0 to 1; NaN if there are no predictions. */
  public double brier() {
    return squares / predictions();
  }

  /** Mean distance between confidence and accuracy, 0 to 1; NaN if there are no predictions. */
  public double expectedCalibrationError() {
    double sum = 0;
    for (int bin = 0; bin < BINS; bin++) {
      sum += Math.abs(correct[bin] - confidence[bin]);
    }
    return sum / predictions();
  }

  /**
   * The sums, for {@link #of}. Arrays are by bin, {@code [BINS]}.
   *
   * @param confidence sums of confidence
   * @param correct correct predictions, with ties as halves
   * @param squares sum of (1 − P(preferred))²
   */
  public record State(long[] predictions, double[] confidence, double[] correct, double squares) {

    public State {
      Checks.sameLength("predictions by bin", predictions.length, BINS);
      Checks.sameLength("confidence by bin", confidence.length, BINS);
      Checks.sameLength("correct predictions by bin", correct.length, BINS);
    }
  }

  State state() {
    return new State(predictions.clone(), confidence.clone(), correct.clone(), squares);
  }

  static Reliability of(State state) {
    return new Reliability(state);
  }
}
