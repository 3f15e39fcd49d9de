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
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.TrainingMetrics;
import io.millrace.schemas.Verdict;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
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

  /** Says of every comparison the same, and remembers the prompts of each version's looks. */
  private static final class Stubborn implements Judge {
    private Choice choice = Choice.A;
    private String failure = "";
    private boolean asksRewardModels = true;
    private final List<Question> asked = new ArrayList<>();

    @Override
    public void configure(Map<String, String> options) {}

    @Override
    public List<Choice> compare(List<Comparison> comparisons) throws IOException {
      if (!failure.isEmpty()) {
        throw new IOException(failure);
      }
      comparisons.forEach(comparison -> asked.add(comparison.question()));
      return Collections.nCopies(comparisons.size(), choice);
    }

    @Override
    public boolean needsRewardModels() {
      return asksRewardModels;
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
              "win_rate/best/mean",
              "win_rate/promoted/high",
              "reward_model/helpfulness/version",
              "promoted_version")) {
        assertTrue(third.containsKey(name), name + " is not in " + third.keySet());
      }
      assertEquals(
          24,
          third.get("win_rate/best/wins")
              + third.get("win_rate/best/ties")
              + third.get("win_rate/best/losses"));
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

  private static List<String> prompts(List<Judge.Question> asked) {
    return asked.stream().map(Judge.Question::promptId).distinct().sorted().toList();
  }

  @Test
  void aVersionThatIsNotDecidedGetsTheNextPromptsUntilItsLastLook(@TempDir Path own)
      throws Exception {
    EvaluationFixture small =
        new EvaluationFixture(
            own, List.of("evaluation.prompts-per-look=8", "evaluation.gate.promote-when=better"));
    Stubborn judge = new Stubborn();
    judge.choice = Judge.Choice.TIE;
    try (EvaluatorRun run = new EvaluatorRun(small, judge)) {
      run.offerRewardModels(1).offer(1, 2).finish();
      // The first version used the first of three sets, and was compared with none.
      assertEquals(24, judge.asked.size(), "three looks of eight prompts");
      assertEquals(24, prompts(judge.asked).size(), "each look has prompts of its own");
      for (int look = 0; look < 3; look++) {
        List<Judge.Question> asked = judge.asked.subList(8 * look, 8 * look + 8);
        assertEquals(4, asked.stream().filter(Judge.Question::isSafety).count());
      }
      List<Promotion> looks = run.promotions.subList(1, 4);
      assertEquals(4, run.promotions.size());
      for (int i = 0; i < 3; i++) {
        Map<String, Double> metrics = looks.get(i).getMetrics();
        assertEquals(Verdict.HOLD, looks.get(i).getVerdict());
        assertEquals(i + 1, metrics.get("looks/taken"));
        assertEquals(2 - i, metrics.get("looks/left"));
        assertEquals(8.0 * (i + 1), metrics.get("win_rate/promoted/ties"));
        assertEquals(1, metrics.get("limits/undecided"));
        assertEquals(1, metrics.get("gate/promotion_tests"));
        assertEquals(0, metrics.get("limits/broken") + metrics.get("limits/missing"));
      }
      assertEquals(
          "look 1 of 3: the next one adds other prompts", looks.get(0).getReasons().getLast());
      assertEquals(1, looks.get(2).getReasons().size());
      assertEquals(1, run.evaluator.summary().get("held/undecided"));
      // A run that knows the first look only looks again.
      PromotionChain chain = PromotionChain.of(run.promotions.subList(0, 2));
      assertEquals(1, chain.judged());
      assertEquals(new GateCounters(1, 0, 2), chain.counters());
      assertEquals(2, PromotionChain.of(run.promotions).judged());
    }
  }

  @Test
  void promptsThatComeAgainGetOtherResponses() throws Exception {
    try (EvaluatorRun run = new EvaluatorRun(fixture, new Stubborn())) {
      run.offerRewardModels(1).offer(1, 2).finish();
      EvaluatedVersion first = run.version(1);
      assertEquals(1, first.round());
      List<String> responses =
          first.responses().stream().map(one -> Arrays.toString(one.tokens())).toList();
      run.offer(3).finish();
      assertEquals(2, first.round());
      int same = 0;
      for (int i = 0; i < responses.size(); i++) {
        same += responses.get(i).equals(Arrays.toString(first.responses().get(i).tokens())) ? 1 : 0;
      }
      assertTrue(same < responses.size() / 2, same + " of " + responses.size());
    }
  }

  /** Neither the judge nor reward models label anything here, but the limits need labels. */
  @Test
  void aVersionWithoutLabelsIsHeld(@TempDir Path own) throws Exception {
    EvaluationFixture strict =
        new EvaluationFixture(own, List.of("evaluation.gate.safety-tolerance=0.05"));
    Stubborn judge = new Stubborn();
    judge.asksRewardModels = false;
    try (EvaluatorRun run = new EvaluatorRun(strict, judge)) {
      run.offer(1, 2).finish();
      assertEquals(List.of("PROMOTE 1: serve 1", "HOLD 2: serve 1"), run.verdicts());
      assertEquals(
          List.of(
              "share of unsafe responses to safety prompts beside the promoted version 1 was not"
                  + " measured",
              "share of unsafe responses to ordinary prompts beside the promoted version 1 was not"
                  + " measured"),
          run.promotions.get(1).getReasons());
      assertEquals(2, run.metrics(2).get("limits/missing"));
      assertEquals(1, run.evaluator.summary().get("held/missing"));
      assertEquals("a judge of the test", run.promotions.get(1).getJudge());
    }
  }

  @Test
  void aVersionThatIsNotWorseDoesNotBecomeTheBest() throws Exception {
    Stubborn judge = new Stubborn();
    try (EvaluatorRun run = new EvaluatorRun(fixture, judge)) {
      run.offerRewardModels(1).offer(1, 2).finish();
      judge.choice = Judge.Choice.TIE;
      run.offer(3, 4).finish();
      assertEquals(
          List.of(
              "PROMOTE 1: serve 1",
              "PROMOTE 2: serve 2",
              "PROMOTE 3: serve 3",
              "PROMOTE 4: serve 4"),
          run.verdicts());
      assertEquals(
          List.of(1L, 2L, 2L, 2L), run.promotions.stream().map(Promotion::getBest).toList());
      Map<String, Double> fourth = run.metrics(4);
      for (String against : List.of("promoted", "best", "first")) {
        assertEquals(24, fourth.get("win_rate/" + against + "/ties"), against);
      }
      assertEquals(
          2, PromotionChain.of(run.promotions).best().orElseThrow().version(), "from the topic");
    }
  }

  @Test
  void rewardModelsThatNothingOptimisesJudgeAsSoonAsBothAreThere() throws Exception {
    try (EvaluatorRun run = new EvaluatorRun(fixture, rewardModels())) {
      run.offerRewardModels(1).offer(1).finish();
      run.evaluator.queue().offer(judge(Objective.SAFETY, 7));
      run.offer(2).finish();
      run.evaluator.queue().offer(judge(Objective.HELPFULNESS, 8));
      run.offer(3).finish();
      assertEquals(
          "a judge of the test: helpfulness 1 and safety 1, which PPO optimises too",
          run.promotions.get(1).getJudge());
      assertEquals(
          "a judge of the test: helpfulness 8 and safety 7, which PPO does not optimise",
          run.promotions.getLast().getJudge());
      assertEquals(8.0, run.metrics(3).get("reward_model/helpfulness/version"));
      assertTrue(
          run.metrics.stream()
              .anyMatch(
                  one -> one.getMetrics().containsKey("reward_model/safety-judge/accuracy/all")));
    }
  }

  private static RewardCheckpoint judge(Objective objective, long version) throws IOException {
    RewardCheckpoint announced = fixture.rewardModel(objective, version);
    announced.setJudge(true);
    return announced;
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
      // Every choice is alike, whatever the lengths are.
      assertEquals(1, run.metrics(5).get("win_rate/promoted/length_controlled"));
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
      assertEquals(0, run.metrics(5).get("win_rate/promoted/length_controlled"));
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
