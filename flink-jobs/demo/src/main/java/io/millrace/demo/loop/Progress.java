package io.millrace.demo.loop;

import io.millrace.jobs.rewardmodel.RewardModelOperator;
import io.millrace.schemas.Objective;
import io.millrace.schemas.TrainingMetrics;
import java.io.PrintStream;
import java.time.Duration;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.LongSupplier;
import java.util.stream.Collectors;

/**
 * Prints the progress of jobs, a line at a time. Every line begins with the seconds since the
 * start. The metrics of a job get at most one line per interval. Threads may share an object.
 */
public final class Progress {

  private static final Duration INTERVAL = Duration.ofSeconds(3);

  private final PrintStream out;
  private final long interval;
  private final LongSupplier nanoTime;
  private final long start;

  /** When each job was last printed, in nanoseconds. */
  private final Map<String, Long> times = new HashMap<>();

  /** The step of each job that was last printed. */
  private final Map<String, Long> steps = new HashMap<>();

  private boolean furtherPasses;

  /** Progress on a stream, with a line about a job every 3 seconds at most. */
  public Progress(PrintStream out) {
    this(out, INTERVAL);
  }

  /**
   * Progress on a stream.
   *
   * @param interval the least time between two lines about the same job
   */
  public Progress(PrintStream out, Duration interval) {
    this(out, interval, System::nanoTime);
  }

  Progress(PrintStream out, Duration interval, LongSupplier nanoTime) {
    this.out = out;
    this.interval = interval.toNanos();
    this.nanoTime = nanoTime;
    this.start = nanoTime.getAsLong();
  }

  /** Prints the beginning of a stage; the first metrics after it are printed at once. */
  public synchronized void stage(String text) {
    line(text);
    times.clear();
    steps.clear();
    furtherPasses = false;
  }

  /** Prints a line at once. */
  public synchronized void line(String text) {
    out.printf(Locale.ROOT, "%6.1fs  %s%n", (nanoTime.getAsLong() - start) / 1e9, text);
    out.flush();
  }

  /**
   * Prints all metrics of any job, sorted by name, without the points of diagrams. {@code millrace
   * annotators} prints those of each annotator.
   */
  public synchronized void metrics(TrainingMetrics metrics) {
    if (!RewardModelOperator.isOfAnnotators(metrics) && isDue(metrics.getJob())) {
      String values =
          metrics.getMetrics().entrySet().stream()
              .filter(metric -> !isOfDiagram(metric.getKey()))
              .sorted(Map.Entry.comparingByKey())
              .map(
                  metric ->
                      String.format(Locale.ROOT, " %s %.4g", metric.getKey(), metric.getValue()))
              .collect(Collectors.joining(","));
      line(metrics.getJob() + " step " + metrics.getStep() + values);
    }
  }

  /** Dozens of metrics that people read as a diagram or not at all. */
  private static boolean isOfDiagram(String metric) {
    return metric.startsWith("calibration/bin")
        || (metric.startsWith("rejection/") && metric.contains("/k="));
  }

  /** Prints an update of the job supervised. */
  public synchronized void supervised(TrainingMetrics metrics) {
    if (!isDue(metrics.getJob())) {
      return;
    }
    if (isNewStep(metrics.getJob(), metrics.getStep())) {
      line(
          String.format(
              Locale.ROOT,
              "    update %d  demonstrations %.0f  loss %.3f",
              metrics.getStep(),
              metrics.getMetrics().get("demonstrations"),
              metrics.getMetrics().get("loss")));
    } else if (!furtherPasses) {
      // Metrics are exactly-once: those of the further passes come when the passes are done.
      furtherPasses = true;
      line("    further passes over the demonstrations");
    }
  }

  /** Prints the held-out accuracies of the reward models so far. */
  public synchronized void rewardModels(Map<Objective, Double> accuracies) {
    if (!accuracies.isEmpty() && isDue("reward-models")) {
      line("    held-out accuracy so far" + text(accuracies));
    }
  }

  /** Prints an update of rejection sampling's fine-tuning. */
  public synchronized void rejectionSampling(TrainingMetrics metrics) {
    if (isDue(metrics.getJob()) && isNewStep(metrics.getJob(), metrics.getStep())) {
      line(
          String.format(
              Locale.ROOT,
              "    update %d  examples %.0f  loss %.3f",
              metrics.getStep(),
              metrics.getMetrics().get("examples"),
              metrics.getMetrics().get("loss")));
    }
  }

  /** Prints how many of the judgments that a campaign waits for have come. */
  public synchronized void judgments(long policyVersion, long judgments, long wanted) {
    if (isDue("judgments") && isNewStep("judgments", judgments)) {
      line(
          String.format(
              Locale.ROOT,
              "    %d of %d judgments of samples of policy version %d",
              judgments,
              wanted,
              policyVersion));
    }
  }

  /** Prints an iteration of PPO and the accuracies of the reward models. */
  public synchronized void ppo(TrainingMetrics metrics, Map<Objective, Double> accuracies) {
    if (isDue(metrics.getJob()) && isNewStep(metrics.getJob(), metrics.getStep())) {
      Map<String, Double> values = metrics.getMetrics();
      line(
          String.format(
              Locale.ROOT,
              "    iteration %d  version %.0f  rollouts %.0f  reward %+.2f  KL %.2f  entropy %.2f"
                  + "  staleness %.1f%s",
              metrics.getStep(),
              values.get("version"),
              values.get("rollouts"),
              hundredths(values.get("objective/scores")),
              hundredths(values.get("objective/kl")),
              values.getOrDefault("policy/entropy_avg", Double.NaN),
              values.get("stream/policy_lag_versions"),
              accuracies.isEmpty() ? "" : "  accuracy" + text(accuracies)));
    }
  }

  /** Rounds before printing: a tiny negative number becomes 0.00, not -0.00. */
  private static double hundredths(double value) {
    return Double.isFinite(value) ? Math.round(value * 100) / 100.0 : value;
  }

  private static String text(Map<Objective, Double> accuracies) {
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

  /** Whether the interval since a job's last line is over; if so, the next interval begins. */
  private boolean isDue(String job) {
    long now = nanoTime.getAsLong();
    Long last = times.get(job);
    if (last != null && now - last < interval) {
      return false;
    }
    times.put(job, now);
    return true;
  }

  private boolean isNewStep(String job, long step) {
    Long last = steps.put(job, step);
    return last == null || last != step;
  }
}
