package io.millrace.schemas;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.apache.avro.specific.SpecificRecordBase;

/** One fixed valid record for each topic. */
public final class Examples {
  private static final Instant TIME = Instant.parse("2026-01-02T03:04:05.678Z");
  private static final String SHA256 = "0123456789abcdef".repeat(4);

  private Examples() {}

  /** One record for each topic, in the order of {@link Topic#all}. */
  public static List<SpecificRecordBase> all() {
    return List.of(
        prompt(),
        demonstration(),
        judgment(),
        feedback(),
        withdrawal(),
        assignment(),
        rollout(),
        reward(),
        rewardCheckpoint(),
        policyCheckpoint(),
        promotion(),
        lineage(),
        new TrainingMetrics("ppo", 8L, Map.of("loss", -1.5), TIME),
        deadLetter());
  }

  public static Prompt prompt() {
    return new Prompt("p1", question(), true, "test", TIME);
  }

  public static Demonstration demonstration() {
    return new Demonstration(
        "d1",
        List.of(new Turn(Role.USER, "Hi"), new Turn(Role.ASSISTANT, "Hello. Grüße 🙂")),
        "test",
        TIME,
        1,
        2);
  }

  public static Judgment judgment() {
    return Judgment.newBuilder()
        .setJudgmentId("j1")
        .setObjective(Objective.HELPFULNESS)
        .setDialogue(question())
        .setResponseA(new JudgedResponse("Paris.", "p1/0", 3L, false, true))
        .setResponseB(new JudgedResponse("No.", null, null, null, null))
        .setPreferred(Preferred.A)
        .setRating(Rating.BETTER)
        .setAnnotator("ann")
        .setSource("test")
        .setTime(TIME)
        .setRevision(3)
        .build();
  }

  public static Feedback feedback() {
    return Feedback.newBuilder()
        .setFeedbackId("f1")
        .setDialogue(question())
        .setResponse(new JudgedResponse("Paris.", "p1/0", 3L, false, false))
        .setLabel(Label.UP)
        .setScore(0.75f)
        .setReason("right")
        .setAnnotator("ann")
        .setSource("test")
        .setTime(TIME)
        .setRevision(2)
        .build();
  }

  public static Assignment assignment() {
    return Assignment.newBuilder()
        .setTaskId("t1")
        .setAnnotator("ann")
        .setState(AssignmentState.JUDGED)
        .setLeft("p1/1")
        .setRight("p1/0")
        .setJudgmentId("console/t1/ann")
        .setRevision(1)
        .setPreferred(Preferred.A)
        .setRating(Rating.BETTER)
        .setUnsafeLeft(false)
        .setReason("complete")
        .setLeasedUntil(TIME.plusSeconds(600))
        .setLeasedAt(TIME.minusSeconds(30))
        .setTime(TIME)
        .build();
  }

  public static Lineage lineage() {
    return Lineage.newBuilder()
        .setModel("policy")
        .setVersion(4)
        .setPart(0)
        .setParentModel("policy")
        .setParent(3)
        .setTopic("prompts")
        .setIds(List.of("p1", "p2"))
        .setOmitted(1)
        .setHelpfulnessVersions(List.of(2L, 3L))
        .setSafetyVersions(List.of(2L))
        .setTime(TIME)
        .build();
  }

  public static Withdrawal withdrawal() {
    return new Withdrawal("w1", WithdrawnBy.ANNOTATOR, "ann", "ops", "asked to be forgotten", TIME);
  }

  public static Rollout rollout() {
    return rollout(List.of(4, 2), List.of(-0.5f, -1.25f));
  }

  public static Rollout rollout(List<Integer> responseTokens, List<Float> logProbs) {
    return Rollout.newBuilder()
        .setRolloutId("p1/0")
        .setPromptId("p1")
        .setDialogue(question())
        .setPromptTokens(List.of(1, 70_000))
        .setResponseTokens(responseTokens)
        .setLogProbs(logProbs)
        .setResponseText("Paris.")
        .setFinishReason(FinishReason.STOP)
        .setModel("policy")
        .setPolicyVersion(3)
        .setTemperature(1.0f)
        .setTopP(0.9f)
        .setSeed(11)
        .setEngine("vllm")
        .setSource("test")
        .setTime(TIME)
        .setPromptTime(TIME.minusSeconds(60))
        .build();
  }

  public static Reward reward() {
    return Reward.newBuilder()
        .setRolloutId("p1/0")
        .setPromptId("p1")
        .setPolicyVersion(3)
        .setIteration(4)
        .setHelpfulnessScore(1.5f)
        .setSafetyScore(-0.25f)
        .setHelpfulnessVersion(5)
        .setSafetyVersion(6)
        .setHelpfulnessHeads(List.of(1.25f, 1.75f))
        .setSafetyHeads(List.of(-0.5f, 0f))
        .setCombined(1.5f)
        .setWhitened(0.75f)
        .setKl(0.125f)
        .setTime(TIME)
        .build();
  }

  private static RewardCheckpoint rewardCheckpoint() {
    return RewardCheckpoint.newBuilder()
        .setObjective(Objective.SAFETY)
        .setVersion(2)
        .setUri("file:///c/safety/v000002")
        .setManifestSha256(SHA256)
        .setJudgments(99)
        .setMetrics(Map.of("all", 0.5))
        .setJudge(true)
        .setTime(TIME)
        .build();
  }

  private static PolicyCheckpoint policyCheckpoint() {
    return PolicyCheckpoint.newBuilder()
        .setModel("policy")
        .setVersion(7)
        .setUri("file:///c/policy/v000007")
        .setManifestSha256(SHA256)
        .setIteration(3)
        .setStep(12)
        .setRollouts(64)
        .setDemonstrations(5)
        .setMetrics(Map.of("kl", 0.25))
        .setTime(TIME)
        .build();
  }

  private static Promotion promotion() {
    return Promotion.newBuilder()
        .setModel("policy")
        .setVersion(6)
        .setVerdict(Verdict.HOLD)
        .setEvaluated(7)
        .setUri("file:///c/policy/v000006")
        .setManifestSha256(SHA256)
        .setBefore(4)
        .setBest(5)
        .setJudge("reward-model")
        .setReasons(List.of("KL 31.0 nats"))
        .setMetrics(Map.of("kl", 31.0))
        .setDecisionId("d1")
        .setDecidedBy("ann")
        .setTime(TIME)
        .build();
  }

  private static DeadLetter deadLetter() {
    return DeadLetter.newBuilder()
        .setTopic("millrace.prompts")
        .setPartition(1)
        .setOffset(42)
        .setValue(ByteBuffer.wrap(new byte[] {0, (byte) 0xFF, 'x'}))
        .setJob("rollout")
        .setReason("undecodable")
        .setMessage("does not start with C301")
        .setValueSize(3L)
        .setValueSha256("3921e9d98be578053d67a667b4243aba8dc03e1c8fbcd8d747a8fec62cc7536a")
        .setTime(TIME)
        .build();
  }

  public static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static List<Turn> question() {
    return List.of(
        new Turn(Role.SYSTEM, "Be short."), new Turn(Role.USER, "What is the capital of France?"));
  }
}
