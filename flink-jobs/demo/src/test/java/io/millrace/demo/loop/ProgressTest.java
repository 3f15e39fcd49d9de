package io.millrace.demo.loop;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.millrace.schemas.Objective;
import io.millrace.schemas.TrainingMetrics;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Lines on a clock that the test moves. */
class ProgressTest {

  private static final Duration INTERVAL = Duration.ofSeconds(2);

  private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
  private long now = 500;
  private final Progress progress =
      new Progress(new PrintStream(bytes, true, StandardCharsets.UTF_8), INTERVAL, () -> now);

  private static TrainingMetrics metrics(String job, long step, Map<String, Double> metrics) {
    return TrainingMetrics.newBuilder()
        .setJob(job)
        .setStep(step)
        .setMetrics(metrics)
        .setTime(Instant.EPOCH)
        .build();
  }

  private static TrainingMetrics update(String job, long step) {
    return metrics(job, step, Map.of("demonstrations", 30.0, "examples", 20.0, "loss", 1.25));
  }

  private void pass(double seconds) {
    now += Math.round(seconds * 1e9);
  }

  private List<String> lines() {
    return bytes.toString(StandardCharsets.UTF_8).lines().toList();
  }

  @Test
  void aLineBeginsWithTheSecondsSinceTheStart() {
    progress.line("up");
    pass(61.25);
    progress.stage("next");
    assertEquals(List.of("   0.0s  up", "  61.3s  next"), lines());
  }

  @Test
  void aJobGetsOneLinePerInterval() {
    for (int step = 1; step <= 5; step++) {
      progress.metrics(metrics("ppo", step, Map.of("b", 2.0, "a", -0.000125)));
      progress.metrics(metrics("supervised", 10L * step, Map.of()));
      pass(1);
    }
    assertEquals(
        List.of(
            "   0.0s  ppo step 1 a -0.0001250, b 2.000",
            "   0.0s  supervised step 10",
            "   2.0s  ppo step 3 a -0.0001250, b 2.000",
            "   2.0s  supervised step 30",
            "   4.0s  ppo step 5 a -0.0001250, b 2.000",
            "   4.0s  supervised step 50"),
        lines());
  }

  @Test
  void pointsOfDiagramsAreLeftOut() {
    progress.metrics(
        metrics(
            "x",
            1,
            Map.of(
                "calibration/bin3/accuracy", 1.0,
                "calibration/ece", 2.0,
                "rejection/all/max/k=4", 3.0,
                "rejection/all/mean", 4.0)));
    assertEquals(
        List.of("   0.0s  x step 1 calibration/ece 2.000, rejection/all/mean 4.000"), lines());
  }

  @Test
  void aStageLetsTheNextMetricsThroughAtOnce() {
    progress.rejectionSampling(update("rejection-sampling-update", 7));
    progress.rejectionSampling(update("rejection-sampling-update", 8));
    progress.stage("next");
    progress.rejectionSampling(update("rejection-sampling-update", 7));
    assertEquals(
        List.of(
            "   0.0s      update 7  examples 20  loss 1.250",
            "   0.0s  next",
            "   0.0s      update 7  examples 20  loss 1.250"),
        lines());
  }

  @Test
  void aStepIsPrintedOnce() {
    for (int i = 0; i < 4; i++) {
      progress.rejectionSampling(update("rejection-sampling-update", 7));
      progress.judgments(3, 12, 256);
      pass(10);
    }
    assertEquals(
        List.of(
            "   0.0s      update 7  examples 20  loss 1.250",
            "   0.0s      12 of 256 judgments of samples of policy version 3"),
        lines());
  }

  @Test
  void supervisedUpdatesThatStandStillAreFurtherPasses() {
    for (int i = 0; i < 4; i++) {
      progress.supervised(update("supervised", 7));
      pass(10);
    }
    assertEquals(
        List.of(
            "   0.0s      update 7  demonstrations 30  loss 1.250",
            "  10.0s      further passes over the demonstrations"),
        lines());
  }

  @Test
  void ppoAndRewardModelsAreTwoJobs() {
    Map<Objective, Double> accuracies = Map.of(Objective.SAFETY, 0.75, Objective.HELPFULNESS, 0.5);
    progress.rewardModels(Map.of());
    progress.rewardModels(accuracies);
    progress.ppo(
        metrics(
            "ppo",
            9,
            Map.of(
                "version", 10.0,
                "rollouts", 576.0,
                "objective/scores", 0.125,
                "objective/kl", -0.001,
                "policy/entropy_avg", 1.0,
                "stream/policy_lag_versions", 1.0)),
        accuracies);
    assertEquals(
        List.of(
            "   0.0s      held-out accuracy so far helpfulness 0.500 safety 0.750",
            "   0.0s      iteration 9  version 10  rollouts 576  reward +0.13  KL 0.00"
                + "  entropy 1.00  staleness 1.0  accuracy helpfulness 0.500 safety 0.750"),
        lines());
  }
}
