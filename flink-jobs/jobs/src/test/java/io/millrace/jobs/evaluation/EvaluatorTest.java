package io.millrace.jobs.evaluation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.jobs.evaluation.judge.RewardModelJudge;
import io.millrace.model.evaluation.Judge;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.TrainingMetrics;
import io.millrace.schemas.Verdict;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Whole evaluations of tiny policies, piece by piece. */
class EvaluatorTest {

  @TempDir private static Path directory;
  private static EvaluationFixture fixture;

  @BeforeAll
  static void publish() throws IOException {
    fixture = new EvaluationFixture(directory, List.of());
  }

  /** Says of every comparison the same. */
  private static final class Stubborn implements Judge {
    private Choice choice = Choice.A;
    private String failure = "";

    @Override
    public void configure(Map<String, String> options) {}

    @Override
    public List<Choice> compare(List<Comparison> comparisons) throws IOException {
      if (!failure.isEmpty()) {
        throw new IOException(failure);
      }
      return Collections.nCopies(comparisons.size(), choice);
    }

    @Override
    public boolean needsRewardModels() {
      return true;
    }
  }

  private static RewardModelJudge rewardModels() {
    RewardModelJudge judge = new RewardModelJudge();
    judge.configure(Map.of());
    return judge;
  }

  private static PolicyCheckpoint policy(long version) throws IOException {
    return fixture.policy(version);
  }

  @Test
  void aRunThatDiesAfterEveryPieceComesToTheSameVerdicts() throws Exception {
    try (EvaluatorRun straight = new EvaluatorRun(fixture, rewardModels());
        EvaluatorRun killed = new EvaluatorRun(fixture, rewardModels())) {
      straight.offerRewardModels(1).offer(1, 2, 3).finish();
      straight.offerRewardModels(2).decide(decision("d1", Verdict.ROLL_BACK, 1)).offer(4).finish();
      killed.offerRewardModels(1).offer(1, 2, 3);
      int deaths = killed.finishDying();
      killed.offerRewardModels(2).decide(decision("d1", Verdict.ROLL_BACK, 1)).offer(4);
      deaths += killed.finishDying();
      assertTrue(deaths > 40, deaths + " deaths");
      assertEquals(straight.promotions, killed.promotions);
      assertEquals(straight.metrics, killed.metrics);
      assertEquals(straight.evaluator.summary(), killed.evaluator.summary());
      assertTrue(straight.promotions.size() >= 4, straight.verdicts().toString());
    }
  }

  @Test
  void everyMetricIsThere() throws Exception {
    try (EvaluatorRun run = new EvaluatorRun(fixture, rewardModels())) {
      run.offerRewardModels(1).offer(1, 2, 3).finish();
      Map<String, Double> first = run.metrics(1);
      assertFalse(first.containsKey("win_rate/first/mean"));
      assertEquals(1, first.get("verdict"));
      Map<String, Double> third = run.metrics(3);
      for (String name :
          List.of(
              "version",
              "score/helpfulness/mean",
              "score/safety/stderr",
              "score/combined/mean",
              "safety_violations",
              "false_refusals",
              "response_tokens",
              "distinct_1",
              "distinct_2",
              "perplexity",
              "kl",
              "entropy",
              "truncated",
              "ratio/perplexity",
              "ratio/distinct_2",
              "win_rate/first/low",
              "win_rate/previous/mean",
              "win_rate/promoted/high",
              "reward_model/helpfulness/version",
              "promoted_version")) {
        assertTrue(third.containsKey(name), name + " is not in " + third.keySet());
      }
      assertEquals(
          24,
          third.get("win_rate/previous/wins")
              + third.get("win_rate/previous/ties")
              + third.get("win_rate/previous/losses"));
      // Weights at random know nothing: the entropy is near that of 300 tokens.
      assertTrue(third.get("perplexity") > 100, "perplexity " + third.get("perplexity"));
      Map<String, Double> rewardModel =
          run.metrics.stream()
              .map(TrainingMetrics::getMetrics)
              .filter(metrics -> metrics.containsKey("reward_model/safety/accuracy/all"))
              .findFirst()
              .orElseThrow();
      assertEquals(100.0, rewardModel.get("reward_model/safety/judgments"));
      assertEquals(1.0, rewardModel.get("reward_model/safety/version"));
    }
  }

  @Test
  void thePolicyThatIsTheReferenceHasNoDistanceToIt() throws Exception {
    try (EvaluatorRun run = new EvaluatorRun(fixture, new Stubborn())) {
      PolicyCheckpoint reference = policy(1);
      reference.setUri(fixture.config().model().initial());
      run.evaluator.queue().offer(reference);
      run.offerRewardModels(1).finish();
      assertEquals(0, run.metrics(1).get("kl"));
    }
  }

  @Test
  void newRewardModelsMayWithdrawWhatIsServed() throws Exception {
    Stubborn judge = new Stubborn();
    try (EvaluatorRun run = new EvaluatorRun(fixture, judge)) {
      run.offerRewardModels(1).offer(1, 2, 3).finish();
      assertEquals(
          List.of("PROMOTE 1: serve 1", "PROMOTE 2: serve 2", "PROMOTE 3: serve 3"),
          run.verdicts());
      judge.choice = Judge.Choice.B;
      run.offerRewardModels(2).offer(4).finish();
      assertEquals(
          List.of("ROLL_BACK 3: serve 2", "HOLD 4: serve 2"), run.verdicts().subList(3, 5));
      Promotion withdrawn = run.promotions.get(3);
      assertEquals(fixture.policy(2).getUri(), withdrawn.getUri());
      assertEquals(1, withdrawn.getReasons().size(), withdrawn.getReasons().toString());
      assertEquals(0.0, withdrawn.getMetrics().get("win_rate/before/mean"));
      // And once more; then there is nothing left to go back to.
      run.offerRewardModels(3).offer(5).finish();
      run.offerRewardModels(4).offer(6).finish();
      assertEquals(
          List.of("ROLL_BACK 2: serve 1", "HOLD 5: serve 1", "HOLD 6: serve 1"),
          run.verdicts().subList(5, 8));
    }
  }

  @Test
  void aJudgeThatFailsHoldsTheVersionAndNothingElse() throws Exception {
    Stubborn judge = new Stubborn();
    try (EvaluatorRun run = new EvaluatorRun(fixture, judge)) {
      run.offerRewardModels(1).offer(1).finish();
      judge.failure = "the endpoint is down";
      run.offer(2).finish();
      judge.failure = "";
      run.offer(3).finish();
      assertEquals(
          List.of("PROMOTE 1: serve 1", "HOLD 2: serve 1", "PROMOTE 3: serve 3"), run.verdicts());
      assertEquals(
          List.of("the judge fails: the endpoint is down"), run.promotions.get(1).getReasons());
    }
  }

  @Test
  void versionsWaitForBothRewardModelsAndAreJudgedOnce() throws Exception {
    try (EvaluatorRun run = new EvaluatorRun(fixture, new Stubborn())) {
      run.offer(1);
      run.evaluator.queue().offer(fixture.rewardModel(Objective.SAFETY, 1));
      run.finish();
      assertEquals(List.of(), run.verdicts());
      assertEquals(1, run.evaluator.summary().get("waiting"));
      run.offerRewardModels(1).offer(1, 2, 2).finish();
      assertEquals(List.of("PROMOTE 1: serve 1", "PROMOTE 2: serve 2"), run.verdicts());
      assertEquals(2, run.evaluator.summary().get("duplicates"));
    }
  }

  @Test
  void aRetiredVersionIsLeftOutAndCounted() throws Exception {
    try (EvaluatorRun run = new EvaluatorRun(fixture, new Stubborn())) {
      PolicyCheckpoint gone = policy(12);
      policy(13);
      Path files = CheckpointStore.localPath(gone.getUri());
      Files.move(files, files.resolveSibling("elsewhere"));
      run.evaluator.queue().offer(gone);
      run.offerRewardModels(1).offer(13).finish();
      Files.move(files.resolveSibling("elsewhere"), files);
      assertEquals(List.of("PROMOTE 13: serve 13"), run.verdicts());
      assertEquals(1, run.evaluator.summary().get("retired"));
    }
  }

  @Test
  void aNewRunGoesOnWhereTheTopicOfPromotionsEnds() throws Exception {
    List<Promotion> before;
    List<Promotion> straight;
    Stubborn judge = new Stubborn();
    try (EvaluatorRun run = new EvaluatorRun(fixture, judge)) {
      run.offerRewardModels(1).offer(1, 2, 3).finish();
      judge.choice = Judge.Choice.B;
      run.offer(4).finish();
      before = List.copyOf(run.promotions);
      judge.choice = Judge.Choice.A;
      run.offer(5).finish();
      straight = run.promotions.subList(before.size(), run.promotions.size());
      assertEquals("HOLD 4: serve 3", run.verdicts().get(3));
    }
    try (EvaluatorRun again = new EvaluatorRun(fixture, judge)) {
      again.evaluator.continueFrom(PromotionChain.of(before));
      again.offerRewardModels(1).offer(1, 2, 3, 4, 5).finish();
      assertEquals(List.of("PROMOTE 5: serve 5"), again.verdicts());
      assertEquals(straight, again.promotions);
      judge.choice = Judge.Choice.B;
      again.offerRewardModels(2).finish();
      again.offerRewardModels(3).finish();
      assertEquals(
          List.of("ROLL_BACK 5: serve 3", "ROLL_BACK 3: serve 2"), again.verdicts().subList(1, 3));
    }
    // Of a compacted topic the last record is left.
    try (EvaluatorRun compacted = new EvaluatorRun(fixture, new Stubborn())) {
      compacted.evaluator.continueFrom(PromotionChain.of(List.of(before.getLast())));
      compacted.offerRewardModels(1).offer(1, 2, 3, 4, 5).finish();
      assertEquals(List.of("PROMOTE 5: serve 5"), compacted.verdicts());
      assertEquals(straight, compacted.promotions);
    }
  }

  @Test
  void aChainFollowsWhatWasServed() {
    PromotionChain chain =
        PromotionChain.of(
            List.of(
                promotion(Verdict.HOLD, 1, 0),
                promotion(Verdict.PROMOTE, 2, 2),
                promotion(Verdict.PROMOTE, 3, 3),
                promotion(Verdict.HOLD, 4, 3),
                promotion(Verdict.PROMOTE, 5, 5),
                promotion(Verdict.ROLL_BACK, 5, 3),
                promotion(Verdict.HOLD, 6, 3)));
    assertEquals(6, chain.judged());
    assertEquals(3, chain.current().orElseThrow().version());
    assertEquals(2, chain.before().orElseThrow().version());
  }

  @Test
  void aChainFollowsEachDecisionOnce() throws IOException {
    Promotion decision = decision("d1", Verdict.PROMOTE, 2);
    PromotionChain chain =
        PromotionChain.of(
            List.of(promotion(Verdict.PROMOTE, 3, 3), decision, promotion(Verdict.PROMOTE, 5, 5)));
    assertEquals(5, chain.judged(), "a decision is no verdict");
    assertFalse(chain.decide(decision));
    assertEquals(5, chain.current().orElseThrow().version());
    assertEquals(2, chain.before().orElseThrow().version());
    assertTrue(chain.decide(decision("d2", Verdict.ROLL_BACK, 3)));
    assertEquals(3, chain.current().orElseThrow().version());
    assertTrue(chain.before().isEmpty());
    assertFalse(PromotionChain.of(chain.state()).decide(decision("d2", Verdict.ROLL_BACK, 3)));
    assertTrue(chain.decide(decision("d3", Verdict.ROLL_BACK, 4)));
    assertEquals(3, chain.before().orElseThrow().version(), "a version that was never served");
  }

  @Test
  void aCompactedTopicMayBeginInTheMiddle() {
    Promotion withdrawn = promotion(Verdict.ROLL_BACK, 5, 3);
    withdrawn.setBefore(2);
    PromotionChain chain = PromotionChain.of(List.of(promotion(Verdict.PROMOTE, 5, 5), withdrawn));
    assertEquals(3, chain.current().orElseThrow().version());
    assertTrue(chain.before().isEmpty(), "version 5 was withdrawn, so no rollback returns to it");
    assertEquals(2, chain.lastBefore().orElseThrow());
  }

  @Test
  void aNewRunKnowsEveryDecisionOfTheTopic() throws IOException {
    List<Promotion> decisions = new ArrayList<>();
    for (int i = 0; i < 250; i++) {
      decisions.add(decision("d" + i, Verdict.PROMOTE, 1 + i % 2));
    }
    PromotionChain chain = PromotionChain.of(decisions);
    for (Promotion decision : decisions) {
      assertFalse(chain.decide(decision), decision.getDecisionId());
    }
    assertEquals(2, chain.current().orElseThrow().version());
    for (int i = 250; i < 500; i++) {
      assertTrue(chain.decide(decision("d" + i, Verdict.PROMOTE, 3)));
    }
    assertEquals(100, chain.state().decisions().size(), "a running job keeps the latest ids");
  }

  @Test
  void aDecisionDropsTheRecheckThatWaitsOrIsInProgress() throws Exception {
    for (boolean inProgress : new boolean[] {false, true}) {
      Stubborn judge = new Stubborn();
      try (EvaluatorRun run = new EvaluatorRun(fixture, judge)) {
        run.offerRewardModels(1).offer(1, 2, 3).finish();
        judge.choice = Judge.Choice.B;
        run.offerRewardModels(2);
        // Two steps use the reward models, a third one begins the recheck.
        for (int i = 0; i < (inProgress ? 3 : 2); i++) {
          assertTrue(run.evaluator.evaluateNext(true));
        }
        run.decide(decision("d1", Verdict.PROMOTE, 2)).finish();
        assertEquals("PROMOTE 2: serve 2", run.verdicts().getLast(), "in progress " + inProgress);
        // Reward models that come after the decision may withdraw the version.
        run.offerRewardModels(3).finish();
        assertEquals("ROLL_BACK 2: serve 3", run.verdicts().getLast());
      }
    }
  }

  @Test
  void aVersionThatAPersonServesBeforeItsVerdictIsComparedWithTheOneBeforeIt() throws Exception {
    Stubborn judge = new Stubborn();
    try (EvaluatorRun run = new EvaluatorRun(fixture, judge)) {
      run.offerRewardModels(1).offer(1, 2).finish();
      judge.choice = Judge.Choice.B;
      run.decide(decision("d1", Verdict.PROMOTE, 4)).offer(4).finish();
      assertEquals(
          List.of("PROMOTE 4: serve 4", "HOLD 4: serve 4"),
          run.verdicts().subList(2, run.verdicts().size()),
          "the verdict comes once, and does not end what a person decided");
      String reason = run.promotions.getLast().getReasons().toString();
      assertTrue(reason.contains("win rate against the promoted version"), reason);
    }
    try (EvaluatorRun run = new EvaluatorRun(fixture, new Stubborn())) {
      run.offerRewardModels(1).decide(decision("d1", Verdict.PROMOTE, 4)).offer(4).finish();
      String reason = run.promotions.getLast().getReasons().toString();
      assertTrue(reason.contains("a person decided to serve it"), reason);
    }
  }

  @Test
  void aDecisionCountsAtOnceAndTheNextVersionIsComparedWithIt() throws Exception {
    Stubborn judge = new Stubborn();
    try (EvaluatorRun run = new EvaluatorRun(fixture, judge)) {
      run.offerRewardModels(1).offer(1, 2, 3).finish();
      assertEquals("PROMOTE 3: serve 3", run.verdicts().getLast());
      judge.choice = Judge.Choice.B;
      run.offer(4);
      // The decision comes in the middle of the evaluation of version 4.
      for (int i = 0; i < 3; i++) {
        assertTrue(run.evaluator.evaluateNext(true));
      }
      run.decide(decision("d1", Verdict.ROLL_BACK, 2)).finish();
      assertEquals(
          List.of("ROLL_BACK 2: serve 2", "HOLD 4: serve 2"),
          run.verdicts().subList(3, 5),
          run.verdicts().toString());
      assertEquals("d1", run.promotions.get(3).getDecisionId());
      assertEquals(1, run.promotions.get(3).getBefore());
      judge.choice = Judge.Choice.A;
      run.offer(5).finish();
      assertEquals("PROMOTE 5: serve 5", run.verdicts().getLast());
      assertTrue(run.metrics(5).containsKey("win_rate/promoted/mean"));
      int known = run.promotions.size();
      run.decide(decision("d1", Verdict.ROLL_BACK, 2)).finish();
      assertEquals(known, run.promotions.size(), "a decision that is read again changes nothing");
    }
  }

  @Test
  void aVersionThatWasForgottenIsMeasuredAgainWhenAPersonPromotesIt() throws Exception {
    Stubborn judge = new Stubborn();
    judge.choice = Judge.Choice.B;
    try (EvaluatorRun run = new EvaluatorRun(fixture, judge)) {
      run.offerRewardModels(1).offer(1, 2, 3, 4).finish();
      assertEquals("HOLD 4: serve 1", run.verdicts().getLast());
      run.decide(decision("d1", Verdict.PROMOTE, 2)).offer(5).finish();
      assertEquals(
          List.of("PROMOTE 2: serve 2", "HOLD 5: serve 2"),
          run.verdicts().subList(4, 6),
          run.verdicts().toString());
      assertTrue(run.metrics(5).containsKey("win_rate/promoted/mean"));
    }
  }

  private static Promotion decision(String id, Verdict verdict, long serve) throws IOException {
    PolicyCheckpoint announced = fixture.policy(serve);
    return Promotion.newBuilder()
        .setModel(announced.getModel())
        .setVersion(serve)
        .setVerdict(verdict)
        .setEvaluated(serve)
        .setUri(announced.getUri())
        .setManifestSha256(announced.getManifestSha256())
        .setDecisionId(id)
        .setDecidedBy("ann")
        .build();
  }

  private static Promotion promotion(Verdict verdict, long evaluated, long serve) {
    return Promotion.newBuilder()
        .setModel("policy")
        .setVersion(serve)
        .setVerdict(verdict)
        .setEvaluated(evaluated)
        .setUri("u" + serve)
        .setManifestSha256("")
        .build();
  }
}
