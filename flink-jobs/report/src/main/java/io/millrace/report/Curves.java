package io.millrace.report;

import io.millrace.jobs.rewardmodel.RewardModelOperator;
import io.millrace.report.RunData.Curve;
import io.millrace.report.RunData.LabelledMetrics;
import io.millrace.schemas.Objective;
import io.millrace.schemas.TrainingMetrics;
import java.util.ArrayList;
import java.util.List;

/** Sorts records of the topic training-metrics into the parts of a run. */
final class Curves {

  private Curves() {}

  /**
   * Adds metrics to a run.
   *
   * @param label name of the version that they belong to; empty where it is not known, and then
   *     each job's runs are numbered
   * @param metrics in the order of their arrival
   */
  static void add(RunData run, String label, List<TrainingMetrics> metrics) {
    addRuns(run.supervised, label, "supervised", runs(metrics, "supervised"));
    addRuns(run.supervised, label, "fine-tuning", runs(metrics, "rejection-sampling-update"));
    addRuns(run.ppo, label, "PPO", runs(metrics, "ppo"));
    addRuns(run.helpfulness, label, "training", rewardModelRuns(metrics, Objective.HELPFULNESS));
    addRuns(run.safety, label, "training", rewardModelRuns(metrics, Objective.SAFETY));
    for (TrainingMetrics record : metrics) {
      if (record.getJob().equals("rejection-sampling") && label.isEmpty()) {
        run.rejection.add(labelled(record));
      } else if (record.getJob().equals("evaluation")) {
        addEvaluation(run, labelled(record));
      }
    }
  }

  private static LabelledMetrics labelled(TrainingMetrics metrics) {
    return new LabelledMetrics("v" + metrics.getStep(), metrics.getMetrics());
  }

  private static List<List<TrainingMetrics>> rewardModelRuns(
      List<TrainingMetrics> metrics, Objective objective) {
    return runs(metrics, RewardModelOperator.job(objective));
  }

  private static void addRuns(
      List<Curve> curves, String label, String job, List<List<TrainingMetrics>> runs) {
    for (List<TrainingMetrics> run : runs) {
      int number = curves.size() + 1;
      String numbered = number == 1 ? job : "%s, run %d".formatted(job, number);
      curves.add(new Curve(label.isEmpty() ? numbered : label, run));
    }
  }

  /** Adds the metrics of a policy, or of the reward models. */
  private static void addEvaluation(RunData run, LabelledMetrics metrics) {
    if (metrics.values().keySet().stream()
        .anyMatch(name -> name.matches("reward_model/.*/accuracy/all"))) {
      run.heldOutRewardModels.add(metrics);
    } else {
      run.evaluation.removeIf(known -> known.label().equals(metrics.label()));
      run.evaluation.add(metrics);
    }
  }

  /** The metrics of a job, in one list per run: a run begins where the step does not grow. */
  private static List<List<TrainingMetrics>> runs(List<TrainingMetrics> metrics, String job) {
    List<List<TrainingMetrics>> runs = new ArrayList<>();
    long last = Long.MAX_VALUE;
    for (TrainingMetrics record : metrics) {
      if (record.getJob().equals(job)) {
        if (record.getStep() <= last) {
          runs.add(new ArrayList<>());
        }
        runs.getLast().add(record);
        last = record.getStep();
      }
    }
    return runs;
  }
}
