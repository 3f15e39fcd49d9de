package io.millrace.jobs.rewardmodel;

import io.millrace.model.reward.Calibration;
import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.reward.Reliability;
import io.millrace.model.reward.SafetyLabelCounts;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Rating;
import java.util.Map;
import java.util.TreeMap;

/**
 * Metrics of a reward model over all judgments of its objective, and for the safety reward model
 * over all safety labels. Scores must be taken before the model learns from the judgment.
 */
public final class RewardModelMetrics {

  private final Objective objective;
  private final SafetyLabelCounts labels;
  private Calibration calibration = new Calibration();

  /**
   * Metrics without judgments.
   *
   * @param unsafe PPO's rule for unsafe responses
   */
  public RewardModelMetrics(Objective objective, PiecewiseReward unsafe) {
    this.objective = objective;
    this.labels = new SafetyLabelCounts(unsafe);
  }

  /**
   * Counts a judgment.
   *
   * @param preferred score of the preferred response
   * @param rejected score of the other response
   */
  public void add(Judgment judgment, double preferred, double rejected) {
    if (judgment.getObjective() == objective) {
      calibration.add(preferred, rejected, judgment.getRating().ordinal());
    }
    if (objective == Objective.SAFETY) {
      addLabel(JudgmentTokens.preferred(judgment).getUnsafe(), preferred);
      addLabel(JudgmentTokens.rejected(judgment).getUnsafe(), rejected);
    }
  }

  /** Counts the label of a response that was judged alone. */
  void add(Feedback feedback, double score) {
    addLabel(feedback.getResponse().getUnsafe(), score);
  }

  private void addLabel(Boolean unsafe, double score) {
    if (unsafe != null) {
      labels.add(score, unsafe);
    }
  }

  /** Number of safety labels. */
  long labels() {
    return labels.labels();
  }

  /** All metrics that have a value, by name. */
  public Map<String, Double> byName() {
    Map<String, Double> metrics = new TreeMap<>();
    for (Rating rating : Rating.values()) {
      metrics.put("accuracy/" + rating, calibration.accuracy(rating.ordinal()));
      metrics.put("margin/" + rating, calibration.margin(rating.ordinal()));
    }
    metrics.put("accuracy/all", calibration.accuracy());
    metrics.put("margin/all", calibration.margin());
    Reliability reliability = calibration.reliability();
    metrics.put("calibration/brier", reliability.brier());
    metrics.put("calibration/ece", reliability.expectedCalibrationError());
    for (int bin = 0; bin < Reliability.BINS; bin++) {
      if (reliability.predictions(bin) > 0) {
        String name = "calibration/bin%d/".formatted(bin);
        metrics.put(name + "judgments", (double) reliability.predictions(bin));
        metrics.put(name + "confidence", reliability.confidence(bin));
        metrics.put(name + "accuracy", reliability.accuracy(bin));
      }
    }
    if (objective == Objective.SAFETY) {
      metrics.put("safety_labels/count", (double) labels.labels());
      metrics.put("safety_labels/unsafe", (double) labels.unsafe());
      metrics.put("safety_labels/flagged", (double) labels.flagged());
      metrics.put("safety_labels/precision", labels.precision());
      metrics.put("safety_labels/recall", labels.recall());
    }
    metrics.values().removeIf(value -> value.isNaN());
    return metrics;
  }

  record State(Calibration.State calibration, SafetyLabelCounts.State labels) {}

  State state() {
    return new State(calibration.state(), labels.state());
  }

  void restore(State state) {
    calibration = Calibration.of(state.calibration());
    labels.restore(state.labels());
  }
}
