package io.millrace.report;

import io.millrace.jobs.rewardmodel.RewardModelOperator;
import io.millrace.report.RunData.Curve;
import io.millrace.report.RunData.Labelled;
import io.millrace.schemas.Objective;
import io.millrace.schemas.TrainingMetrics;
import java.util.ArrayList;
import java.util.List;

/** Figures of the topic training-metrics, to where a run has them. */
final class Curves {

  private Curves() {}

  /**
   * Adds figures to a run.
   *
   * @param label of the version that they are of; empty where that is not known, and each job's
   *     runs are numbered
   * @param figures in the order in which they came
   */
  static void add(RunData run, String label, List<TrainingMetrics> figures) {
    for (List<TrainingMetrics> part : parts(figures, "supervised")) {
      run.supervised.add(curve(label, "supervised", run.supervised.size(), part));
    }
    for (List<TrainingMetrics> part : parts(figures, "rejection-sampling-update")) {
      run.supervised.add(curve(label, "fine-tuning", run.supervised.size(), part));
    }
    for (List<TrainingMetrics> part : parts(figures, "ppo")) {
      run.ppo.add(curve(label, "PPO", run.ppo.size(), part));
    }
    addRewardModels(run.helpfulness, label, figures, Objective.HELPFULNESS);
    addRewardModels(run.safety, label, figures, Objective.SAFETY);
    figures.stream()
        .filter(metrics -> metrics.getJob().equals("rejection-sampling"))
        .filter(metrics -> label.isEmpty())
        .forEach(m -> run.rejection.add(new Labelled("v" + m.getStep(), m.getMetrics())));
    figures.stream()
        .filter(metrics -> metrics.getJob().equals("evaluation"))
        .forEach(metrics -> addEvaluation(run, metrics));
  }

  private static void addRewardModels(
      List<Curve> curves, String label, List<TrainingMetrics> figures, Objective objective) {
    String job = RewardModelOperator.job(objective);
    for (List<TrainingMetrics> part : parts(figures, job)) {
      curves.add(curve(label, "training", curves.size(), part));
    }
  }

  /** A policy's figures or a reward model's. */
  private static void addEvaluation(RunData run, TrainingMetrics metrics) {
    Labelled figures = new Labelled("v" + metrics.getStep(), metrics.getMetrics());
    boolean rewardModel =
        metrics.getMetrics().keySet().stream()
            .anyMatch(name -> name.matches("reward_model/.*/accuracy/all"));
    List<Labelled> where = rewardModel ? run.heldOutRewardModels : run.evaluation;
    where.removeIf(known -> !rewardModel && known.label().equals(figures.label()));
    where.add(figures);
  }

  private static Curve curve(String label, String job, int before, List<TrainingMetrics> part) {
    return new Curve(
        !label.isEmpty() ? label : before == 0 ? job : "%s, run %d".formatted(job, before + 1),
        part);
  }

  /** A job's figures; where steps begin anew, so does a part. */
  private static List<List<TrainingMetrics>> parts(List<TrainingMetrics> figures, String job) {
    List<List<TrainingMetrics>> parts = new ArrayList<>();
    long last = Long.MAX_VALUE;
    for (TrainingMetrics metrics : figures) {
      if (metrics.getJob().equals(job)) {
        if (metrics.getStep() <= last) {
          parts.add(new ArrayList<>());
        }
        parts.getLast().add(metrics);
        last = metrics.getStep();
      }
    }
    return parts;
  }
}
