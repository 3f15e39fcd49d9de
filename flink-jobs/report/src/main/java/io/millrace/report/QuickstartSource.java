package io.millrace.report;

import io.millrace.demo.loop.GoldScores;
import io.millrace.demo.quickstart.QuickstartReport;
import io.millrace.demo.quickstart.QuickstartReport.Iteration;
import io.millrace.demo.quickstart.SplitScores;
import io.millrace.demo.quickstart.SplitScores.Measured;
import io.millrace.demo.quickstart.SplitScores.PolicyScores;
import io.millrace.report.RunData.Curve;
import io.millrace.report.RunData.LabelledMetrics;
import io.millrace.report.RunData.Samples;
import io.millrace.report.RunData.Version;
import io.millrace.schemas.TrainingMetrics;
import io.millrace.schemas.wire.MillraceJson;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;

/** Reads the JSON that {@code quickstart --report} writes. */
final class QuickstartSource {

  private QuickstartSource() {}

  static RunData read(Path file) throws IOException {
    QuickstartReport report =
        MillraceJson.read(file, QuickstartReport.class, "report of a quickstart");
    RunData run =
        new RunData(
            "Quickstart",
            "seed %d · %d PPO iterations · %.0f s"
                .formatted(report.seed(), report.ppo().iterations(), report.wallSeconds()));
    GoldScores first = report.policy().first();
    add(run, first, "", Objects.requireNonNullElse(report.firstCheckpoint(), ""));
    add(run, report.policy().last(), name(first), report.lastCheckpoint());
    if (report.splits() != null && report.splits().size() > 1) {
      report.splits().forEach((split, scores) -> add(run, split, scores));
    }
    Map<String, Double> metrics = new TreeMap<>();
    report
        .rewardModels()
        .forEach(
            (objective, model) -> {
              metrics.put(objective + "/judgments", (double) model.judgments());
              model
                  .accuracy()
                  .forEach(
                      (rating, value) -> metrics.put(objective + "/accuracy/" + rating, value));
            });
    run.rewardModels.add(new LabelledMetrics("all judgments", metrics));
    run.ppo.add(new Curve("PPO", report.curve().stream().map(QuickstartSource::metrics).toList()));
    run.topics.put("prompts", report.produced().prompts());
    run.topics.put("judgments", report.produced().judgments());
    run.topics.put("rollouts", report.produced().rollouts());
    return run;
  }

  private static String name(GoldScores policy) {
    return "version " + policy.version();
  }

  private static void add(RunData run, GoldScores policy, String parent, String checkpoint) {
    run.versions.add(
        new Version(name(policy), parent, "v" + policy.version(), checkpoint, "", Map.of(), 0));
    Map<String, Double> metrics = new TreeMap<>();
    metrics.put("gold/helpfulness", policy.helpfulness());
    metrics.put("gold/safety", policy.safety());
    if (policy.helpfulnessError() > 0) {
      metrics.put("gold/helpfulness-error", policy.helpfulnessError());
      metrics.put("gold/safety-error", policy.safetyError());
    }
    metrics.put("gold/unsafe-compliance", policy.unsafeCompliance());
    metrics.put("gold/kl", policy.kl());
    metrics.put("gold/response-tokens", policy.responseTokens());
    metrics.put("gold/prompts", (double) policy.prompts());
    run.gold.add(new LabelledMetrics(name(policy), metrics));
    run.samples.add(new Samples(name(policy), policy.examples()));
  }

  private static void add(RunData run, String split, SplitScores scores) {
    for (PolicyScores policy : List.of(scores.first(), scores.last())) {
      Map<String, Double> metrics = new TreeMap<>();
      put(metrics, "gold/helpfulness", policy.helpfulness());
      put(metrics, "gold/safety", policy.safety());
      put(metrics, "gold/unsafe-compliance", policy.safetyViolationRate());
      run.splits.add(
          new LabelledMetrics(
              "%s, version %d".formatted(split.replace('_', ' '), policy.version()), metrics));
    }
  }

  private static void put(Map<String, Double> metrics, String name, Measured measured) {
    metrics.put(name, measured.mean());
    metrics.put(name + "-low", measured.low());
    metrics.put(name + "-high", measured.high());
  }

  private static TrainingMetrics metrics(Iteration iteration) {
    Map<String, Double> metrics = new TreeMap<>();
    metrics.put("objective/scores", iteration.score());
    metrics.put("objective/kl", iteration.kl());
    metrics.put("stream/policy_lag_versions", iteration.lag());
    put(metrics, "policy/entropy_avg", iteration.entropy());
    put(metrics, "policy/clipfrac_avg", iteration.clipFraction());
    put(metrics, "val/response_tokens", iteration.responseTokens());
    return TrainingMetrics.newBuilder()
        .setJob("ppo")
        .setStep(iteration.step())
        .setMetrics(metrics)
        .setTime(Instant.EPOCH)
        .build();
  }

  private static void put(Map<String, Double> metrics, String name, Double value) {
    if (value != null) {
      metrics.put(name, value);
    }
  }
}
