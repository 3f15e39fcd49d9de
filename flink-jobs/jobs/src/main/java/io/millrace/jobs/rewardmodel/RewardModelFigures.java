package io.millrace.jobs.rewardmodel;

import io.millrace.model.reward.Calibration;
import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.reward.Reliability;
import io.millrace.model.reward.SafetyLabelCounts;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Rating;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Map;
import java.util.TreeMap;

/**
 * A reward model's figures over every judgment of its objective, each scored before it was learned
 * from, and for the safety reward model over every safety label.
 */
public final class RewardModelFigures {

  private final Objective objective;
  private final Calibration calibration;
  private final SafetyLabelCounts labels;

  /**
   * Nothing counted yet.
   *
   * @param unsafe the rule by which PPO finds a response unsafe
   */
  public RewardModelFigures(Objective objective, PiecewiseReward unsafe) {
    this(objective, new Calibration(), new SafetyLabelCounts(unsafe));
  }

  private RewardModelFigures(
      Objective objective, Calibration calibration, SafetyLabelCounts labels) {
    this.objective = objective;
    this.calibration = calibration;
    this.labels = labels;
  }

  /** Counts a judgment by the scores that its responses had before it was learned from. */
  public void add(Judgment judgment, double preferred, double rejected) {
    if (judgment.getObjective() == objective) {
      calibration.add(preferred, rejected, judgment.getRating().ordinal());
    }
    if (objective == Objective.SAFETY) {
      addLabel(JudgmentTokens.preferred(judgment).getUnsafe(), preferred);
      addLabel(JudgmentTokens.rejected(judgment).getUnsafe(), rejected);
    }
  }

  private void addLabel(Boolean unsafe, double score) {
    if (unsafe != null) {
      labels.add(score, unsafe);
    }
  }

  /** Safety labels seen. */
  long labels() {
    return labels.labels();
  }

  /** All figures that are defined so far, by name. */
  public Map<String, Double> figures() {
    Map<String, Double> figures = new TreeMap<>();
    for (Rating rating : Rating.values()) {
      figures.put("accuracy/" + rating, calibration.accuracy(rating.ordinal()));
      figures.put("margin/" + rating, calibration.margin(rating.ordinal()));
    }
    figures.put("accuracy/all", calibration.accuracy());
    figures.put("margin/all", calibration.margin());
    Reliability reliability = calibration.reliability();
    figures.put("calibration/brier", reliability.brier());
    figures.put("calibration/ece", reliability.expectedCalibrationError());
    for (int bin = 0; bin < Reliability.BINS; bin++) {
      if (reliability.predictions(bin) > 0) {
        String name = "calibration/bin%d/".formatted(bin);
        figures.put(name + "judgments", (double) reliability.predictions(bin));
        figures.put(name + "confidence", reliability.confidence(bin));
        figures.put(name + "accuracy", reliability.accuracy(bin));
      }
    }
    if (objective == Objective.SAFETY) {
      figures.put("safety_labels/count", (double) labels.labels());
      figures.put("safety_labels/unsafe", (double) labels.unsafe());
      figures.put("safety_labels/flagged", (double) labels.flagged());
      figures.put("safety_labels/precision", labels.precision());
      figures.put("safety_labels/recall", labels.recall());
    }
    figures.values().removeIf(value -> value.isNaN());
    return figures;
  }

  void write(DataOutput out) throws IOException {
    calibration.write(out);
    labels.write(out);
  }

  /** What {@link #write} wrote. */
  static RewardModelFigures read(DataInput in, Objective objective, PiecewiseReward unsafe)
      throws IOException {
    Calibration calibration = Calibration.read(in);
    SafetyLabelCounts labels = new SafetyLabelCounts(unsafe);
    labels.read(in);
    return new RewardModelFigures(objective, calibration, labels);
  }
}
