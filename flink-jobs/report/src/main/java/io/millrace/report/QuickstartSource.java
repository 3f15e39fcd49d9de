package io.millrace.report;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.millrace.demo.loop.Measured;
import io.millrace.demo.quickstart.QuickstartReport;
import io.millrace.demo.quickstart.QuickstartReport.Iteration;
import io.millrace.report.RunData.Curve;
import io.millrace.report.RunData.Labelled;
import io.millrace.report.RunData.Line;
import io.millrace.report.RunData.Said;
import io.millrace.schemas.TrainingMetrics;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Map;
import java.util.TreeMap;

/** The JSON that {@code quickstart --report} writes. */
final class QuickstartSource {

  private QuickstartSource() {}

  static RunData read(Path file) throws IOException {
    QuickstartReport report;
    try {
      report = new ObjectMapper().readValue(Files.readAllBytes(file), QuickstartReport.class);
    } catch (JsonProcessingException e) {
      throw new IOException(
          "%s is no report of a quickstart: %s".formatted(file, e.getOriginalMessage()), e);
    }
    if (report == null || report.policy() == null || report.curve() == null) {
      throw new IOException(file + " is no report of a quickstart: it has no policy or no curve");
    }
    RunData run =
        new RunData(
            "Quickstart",
            "seed %d · %d PPO iterations · %.0f s"
                .formatted(report.seed(), report.ppo().iterations(), report.wallSeconds()));
    add(run, report.policy().first(), "", "");
    add(run, report.policy().last(), name(report.policy().first()), report.lastCheckpoint());
    Map<String, Double> figures = new TreeMap<>();
    report
        .rewardModels()
        .forEach(
            (objective, model) -> {
              figures.put(objective + "/judgments", (double) model.judgments());
              model
                  .accuracy()
                  .forEach(
                      (rating, value) -> figures.put(objective + "/accuracy/" + rating, value));
            });
    run.rewardModels.add(new Labelled("all judgments", figures));
    run.ppo.add(new Curve("PPO", report.curve().stream().map(QuickstartSource::metrics).toList()));
    run.topics.put("prompts", report.produced().prompts());
    run.topics.put("judgments", report.produced().judgments());
    run.topics.put("rollouts", report.produced().rollouts());
    return run;
  }

  private static String name(Measured policy) {
    return "version " + policy.version();
  }

  private static void add(RunData run, Measured policy, String parent, String checkpoint) {
    run.lineage.add(
        new Line(name(policy), parent, "v" + policy.version(), checkpoint, "", Map.of(), 0));
    Map<String, Double> figures = new TreeMap<>();
    figures.put("gold/helpfulness", policy.goldHelpfulness());
    figures.put("gold/safety", policy.goldSafety());
    if (policy.helpfulnessError() > 0) {
      figures.put("gold/helpfulness-error", policy.helpfulnessError());
      figures.put("gold/safety-error", policy.safetyError());
    }
    figures.put("gold/unsafe-compliance", policy.unsafeCompliance());
    figures.put("gold/kl", policy.kl());
    figures.put("gold/response-tokens", policy.responseTokens());
    figures.put("gold/prompts", (double) policy.prompts());
    run.gold.add(new Labelled(name(policy), figures));
    run.said.add(new Said(name(policy), policy.examples()));
  }

  private static TrainingMetrics metrics(Iteration iteration) {
    Map<String, Double> figures = new TreeMap<>();
    figures.put("objective/scores", iteration.score());
    figures.put("objective/kl", iteration.kl());
    figures.put("stream/policy_lag_versions", iteration.lag());
    put(figures, "objective/entropy", iteration.entropy());
    put(figures, "policy/clipfrac_avg", iteration.clipFraction());
    put(figures, "val/response_tokens", iteration.responseTokens());
    return TrainingMetrics.newBuilder()
        .setJob("ppo")
        .setStep(iteration.step())
        .setMetrics(figures)
        .setTime(Instant.EPOCH)
        .build();
  }

  private static void put(Map<String, Double> figures, String name, Double value) {
    if (value != null) {
      figures.put(name, value);
    }
  }
}
