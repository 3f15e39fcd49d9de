package io.millrace.jobs.evaluation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.Job;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.testkit.Deployment;
import io.millrace.jobs.testkit.JobHarness;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.api.common.JobID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.function.Executable;

/** The job as it is submitted, on a real broker and cluster. */
class EvaluationJobTest {

  private static final Duration PATIENCE = Duration.ofSeconds(90);

  @RegisterExtension private static final JobHarness HARNESS = new JobHarness(4);

  /** A deployment with the files and models of an {@link EvaluationFixture}. */
  private record Run(Deployment deployment, EvaluationFixture fixture) {

    static Run of(String name, String... settings) throws IOException {
      Deployment deployment = HARNESS.deploy(name);
      return new Run(
          deployment,
          new EvaluationFixture(
              HARNESS.directory().resolve(name + "-files"), deployment.settings(settings)));
    }

    void announce(long... policies) throws IOException {
      List<PolicyCheckpoint> announcements = new ArrayList<>();
      for (long version : policies) {
        announcements.add(fixture.policy(version));
      }
      deployment.send(Topic.POLICY_CHECKPOINTS, announcements);
    }

    void announceRewardModels(long version) throws IOException {
      List<RewardCheckpoint> announcements = new ArrayList<>();
      for (Objective objective : Objective.values()) {
        announcements.add(fixture.rewardModel(objective, version));
      }
      deployment.send(Topic.REWARD_CHECKPOINTS, announcements);
    }

    JobExecutionResult bounded() throws Exception {
      return deployment.run(Job.EVALUATION.graph(fixture.config(), true));
    }

    List<Promotion> promotions() throws IOException {
      return deployment.read(Topic.PROMOTIONS);
    }

    /** Verdicts with all that does not depend on time or place. */
    List<String> verdicts() throws IOException {
      return promotions().stream()
          .map(
              p ->
                  "%s %d serve %d, %s %s"
                      .formatted(
                          p.getVerdict(),
                          p.getEvaluated(),
                          p.getVersion(),
                          p.getReasons(),
                          new TreeMap<>(p.getMetrics())))
          .toList();
    }

    List<Long> evaluated() throws IOException {
      return promotions().stream().map(Promotion::getEvaluated).toList();
    }
  }

  private static Map<String, Double> summary(JobExecutionResult result) {
    return Deployment.summary(result, "evaluation");
  }

  @Test
  void aRunThatFailsInTheMiddleComesToTheSameVerdictsEachOnce() throws Exception {
    Run straight = Run.of("straight");
    Run killed = Run.of("killed", FailingJudge.settings("killed", 3));
    for (Run run : List.of(straight, killed)) {
      run.announce(1, 2, 3, 4);
      run.announceRewardModels(1);
      run.announceRewardModels(2);
    }
    Map<String, Double> expected = summary(straight.bounded());
    Map<String, Double> actual = summary(killed.bounded());
    assertEquals(0, expected.remove("restarts"));
    assertEquals(1, actual.remove("restarts"), "the failure never happened");
    assertEquals(expected, actual);
    assertEquals(4, actual.get("evaluated"));
    assertEquals(List.of(1L, 2L, 3L, 4L), killed.evaluated());
    assertEquals(straight.verdicts(), killed.verdicts());
    Promotion last = killed.promotions().getLast();
    assertTrue(last.getTime().isAfter(Instant.EPOCH));
    assertEquals(2.0, last.getMetrics().get("reward_model/safety/version"));
    // Each reward model was measured on the held-out judgments, both versions of both.
    assertEquals(
        4,
        killed.deployment().read(Topic.TRAINING_METRICS).stream()
            .map(TrainingMetrics::getMetrics)
            .filter(
                metrics ->
                    metrics.containsKey("reward_model/safety/accuracy/all")
                        || metrics.containsKey("reward_model/helpfulness/accuracy/all"))
            .count());

    // A later run, which has no state, goes on from the topic.
    killed.announce(5);
    assertEquals(1, summary(killed.bounded()).get("evaluated"));
    assertEquals(List.of(1L, 2L, 3L, 4L, 5L), killed.evaluated());
    straight.announce(5);
    var _ = straight.bounded();
    assertEquals(straight.verdicts(), killed.verdicts());
  }

  @Test
  void anEndlessRunFollowsWhatIsAnnouncedThroughAFailure() throws Exception {
    Run run = Run.of("endless", FailingJudge.settings("endless", 1));
    run.announceRewardModels(1);
    JobID job = HARNESS.cluster().submit(Job.EVALUATION.graph(run.fixture().config(), false));
    for (long version = 1; version <= 4; version++) {
      run.announce(version);
      awaitVerdicts(run, (int) version);
    }
    assertEquals(List.of(1L, 2L, 3L, 4L), run.evaluated());
    Map<String, Double> summary =
        summary(HARNESS.cluster().drain(job, HARNESS.directory().resolve("savepoints")));
    assertEquals(1, summary.get("restarts"), "the failure never happened");
    assertEquals(4, summary.get("evaluated"));
    assertEquals(List.of(1L, 2L, 3L, 4L), run.evaluated());
  }

  @Test
  void serveFollowsThePersonsWhoDecide() throws Exception {
    Run run = Run.of("decided", FailingJudge.settings("decided", 2));
    MillraceConfig config = run.fixture().config();
    assertDecisionRefused(
        "so there is nothing to roll back",
        () -> PromotionDecision.rollBack(config, Optional.empty(), "ann", "r", _ -> {}));
    run.announceRewardModels(1);
    JobID job = HARNESS.cluster().submit(Job.EVALUATION.graph(config, false));
    run.announce(1, 2);
    awaitVerdicts(run, 2);
    assertDecisionRefused(
        "has no version 7 of policy; it has 2, from 1 to 2",
        () -> PromotionDecision.promote(config, 7, "ann", "r", _ -> {}));

    // The decision, and the job's confirmation of it.
    long served = run.promotions().getLast().getVersion();
    long other = 3 - served;
    PromotionDecision.promote(config, other, "ann", "reviewed", _ -> {}).send();
    awaitVerdicts(run, 4);
    assertDecisionRefused(
        "version %d of policy is served already".formatted(other),
        () -> PromotionDecision.promote(config, other, "ann", "again", _ -> {}));
    PromotionDecision.rollBack(config, Optional.empty(), "bob", "too terse", _ -> {}).send();
    awaitVerdicts(run, 6);
    run.announce(3);
    awaitVerdicts(run, 7);
    Map<String, Double> summary =
        summary(HARNESS.cluster().drain(job, HARNESS.directory().resolve("savepoints")));
    assertEquals(1, summary.get("restarts"), "the failure never happened");

    List<Promotion> all = run.promotions();
    for (int i : new int[] {2, 4}) {
      Promotion decision = all.get(i);
      Promotion confirmation = all.get(i + 1);
      assertEquals(decision.getDecisionId(), confirmation.getDecisionId());
      assertEquals(decision.getVersion(), confirmation.getVersion());
      assertEquals(decision.getBefore(), confirmation.getBefore());
    }
    assertEquals(
        List.of(other, other, served, served),
        all.subList(2, 6).stream().map(Promotion::getVersion).toList());
    assertEquals(List.of("reviewed"), all.get(2).getReasons());
    assertEquals("bob", all.get(4).getDecidedBy());
    assertEquals(3, all.get(6).getEvaluated());
    assertEquals("", all.get(6).getDecisionId());

    // A decision for what lies elsewhere is refused, and the job goes on.
    Promotion foreign =
        Promotion.newBuilder(all.get(2)).setDecisionId("f").setUri("file:///elsewhere/v1").build();
    run.deployment().send(Topic.PROMOTIONS, List.of(foreign));
    var _ = run.bounded();
    DeadLetter refused = run.deployment().read(Topic.DEAD_LETTERS).getLast();
    assertEquals("outside-root", refused.getReason());
  }

  /** A person who decides may not know, or may mistake, the model that the jobs start from. */
  @Test
  void decisionsNeedNoInitialModel() throws Exception {
    Run run = Run.of("uninitial");
    MillraceConfig config = run.fixture().config();
    run.fixture().policy(1);
    run.fixture().policy(2);
    MillraceConfig none = config.withInitial("");
    List<String> notices = new ArrayList<>();
    PromotionDecision.promote(none, 1, "ann", "first", notices::add).send();
    PromotionDecision.promote(none, 2, "ann", "second", notices::add).send();
    assertDecisionRefused(
        "version 2 of policy is served already",
        () -> PromotionDecision.promote(none, 2, "ann", "again", notices::add));
    PromotionDecision.rollBack(none, Optional.empty(), "bob", "worse", notices::add).send();
    assertEquals(
        List.of(1L, 2L, 1L), run.promotions().stream().map(Promotion::getVersion).toList());
    assertEquals(List.of(), notices);

    // With another model than the policies' no promotion counts, and the person learns why.
    MillraceConfig other =
        InitialModel.ensure(
            ConfigLoader.load(Optional.empty(), run.deployment().settings("model.vocab-size=320")));
    assertDecisionRefused(
        "so there is nothing to roll back",
        () -> PromotionDecision.rollBack(other, Optional.empty(), "bob", "r", notices::add));
    PromotionDecision.promote(other, 2, "ann", "r", notices::add);
    assertEquals(2, notices.size());
    String notice = notices.getFirst();
    assertTrue(notice.startsWith("3 promotions of policy do not count, the last because "), notice);
    assertTrue(notice.contains(other.model().initial()), notice);
    assertTrue(notice.endsWith("; is model.initial right?"), notice);

    // The check of roots and manifests goes without that model.
    Promotion foreign =
        Promotion.newBuilder(run.promotions().getFirst())
            .setDecisionId("f")
            .setVersion(2)
            .setUri("file:///elsewhere/v1")
            .build();
    run.deployment().send(Topic.PROMOTIONS, List.of(foreign));
    notices.clear();
    PromotionDecision.promote(none, 2, "ann", "r", notices::add);
    assertTrue(
        notices.getFirst().startsWith("1 promotion of policy does not count, because file:///"),
        notices.toString());
  }

  private static void assertDecisionRefused(String message, Executable decision) {
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, decision);
    assertTrue(e.getMessage().contains(message), e.getMessage());
  }

  private static void awaitVerdicts(Run run, int count) throws Exception {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (run.promotions().size() < count) {
      assertTrue(System.nanoTime() < deadline, run.evaluated() + " after " + PATIENCE);
    }
  }

  @Test
  void whatCannotWorkIsRefusedWhereTheJobIsSubmitted() throws Exception {
    assertRefused("evaluation.prompts must name a file", "evaluation.prompts=");
    assertRefused(
        "evaluation.demonstrations is empty, so the perplexity cannot be measured",
        "evaluation.demonstrations=");
    assertRefused("evaluation.judge no.Judge is neither", "evaluation.judge=no.Judge");
    assertRefused("held-out prompt held-out-0 has", "evaluation.max-tokens=250");
  }

  private static void assertRefused(String message, String setting) throws IOException {
    MillraceConfig config =
        new EvaluationFixture(HARNESS.directory().resolve("refused"), List.of(setting)).config();
    RuntimeException e =
        assertThrows(RuntimeException.class, () -> Job.EVALUATION.graph(config, true));
    assertTrue(e.getMessage().contains(message), e.getMessage());
    assertFalse(e.getMessage().contains("Exception"), e.getMessage());
  }
}
