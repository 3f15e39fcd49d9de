package io.millrace.demo.loop;

import io.millrace.schemas.Objective;
import io.millrace.schemas.TrainingMetrics;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;
import java.util.Map;

/** How a quickstart gets on, a line at a time. */
public final class Progress {

  private static final long EVERY_NANOS = Duration.ofSeconds(3).toNanos();

  private final PrintStream out;
  private final long start = System.nanoTime();
  private long last;
  private long lastStep = -1;
  private boolean waiting;

  public Progress(PrintStream out) {
    this.out = out;
  }

  /** A stage begins. */
  public void stage(String text) {
    print(text);
    last = 0;
    lastStep = -1;
  }

  /** An update of the job supervised. */
  public void supervised(TrainingMetrics metrics) {
    if (!due(metrics.getStep())) {
      return;
    }
    if (metrics.getStep() == lastStep) {
      // Metrics are exactly-once: those of the further passes come when the passes are done.
      if (!waiting) {
        waiting = true;
        print("    further passes over the demonstrations");
      }
    } else {
      lastStep = metrics.getStep();
      print(
          String.format(
              Locale.ROOT,
              "    update %d  demonstrations %.0f  loss %.3f",
              metrics.getStep(),
              metrics.getMetrics().get("demonstrations"),
              metrics.getMetrics().get("loss")));
    }
  }

  /** Held-out accuracies of the reward models so far. */
  public void rewardModels(Map<Objective, Double> accuracies) {
    if (!accuracies.isEmpty() && due(0)) {
      print("    held-out accuracy so far" + accuracies(accuracies));
    }
  }

  /** An update of rejection sampling's fine-tuning. */
  public void rejectionSampling(TrainingMetrics metrics) {
    if (due(metrics.getStep()) && metrics.getStep() != lastStep) {
      lastStep = metrics.getStep();
      print(
          String.format(
              Locale.ROOT,
              "    update %d  examples %.0f  loss %.3f",
              metrics.getStep(),
              metrics.getMetrics().get("examples"),
              metrics.getMetrics().get("loss")));
    }
  }

  /** Judgments that are waited for. */
  public void judgments(long policyVersion, long judgments, long wanted) {
    if (judgments != lastStep && due(judgments)) {
      lastStep = judgments;
      print(
          "    %d of %d judgments of samples of policy version %d"
              .formatted(judgments, wanted, policyVersion));
    }
  }

  /** An iteration of PPO, and the accuracies of the reward models. */
  public void ppo(TrainingMetrics metrics, Map<Objective, Double> accuracies) {
    if (due(metrics.getStep()) && metrics.getStep() != lastStep) {
      lastStep = metrics.getStep();
      Map<String, Double> figures = metrics.getMetrics();
      print(
          String.format(
              Locale.ROOT,
              "    iteration %d  version %.0f  rollouts %.0f  reward %+.2f  KL %.2f  entropy %.2f"
                  + "  lag %.1f%s",
              metrics.getStep(),
              figures.get("version"),
              figures.get("rollouts"),
              figures.get("objective/scores"),
              figures.get("objective/kl"),
              figures.get("objective/entropy"),
              figures.get("stream/policy_lag_versions"),
              accuracies.isEmpty() ? "" : "  accuracy" + accuracies(accuracies)));
    }
  }

  private static String accuracies(Map<Objective, Double> accuracies) {
    StringBuilder text = new StringBuilder();
    for (Objective objective : Objective.values()) {
      if (accuracies.containsKey(objective)) {
        text.append(
            String.format(
                Locale.ROOT,
                " %s %.3f",
                objective.name().toLowerCase(Locale.ROOT),
                accuracies.get(objective)));
      }
    }
    return text.toString();
  }

  private boolean due(long step) {
    boolean due = System.nanoTime() - last > EVERY_NANOS && step >= 0;
    if (due) {
      last = System.nanoTime();
    }
    return due;
  }

  private void print(String text) {
    out.printf(Locale.ROOT, "%6.1fs  %s%n", (System.nanoTime() - start) / 1e9, text);
    out.flush();
  }
}
