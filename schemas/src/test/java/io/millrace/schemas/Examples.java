package io.millrace.schemas;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.apache.avro.specific.SpecificRecordBase;

/** One valid record of each topic, always the same. */
public final class Examples {
  private static final Instant TIME = Instant.parse("2026-01-02T03:04:05.678Z");
  private static final String SHA256 = "0123456789abcdef".repeat(4);

  private Examples() {}

  public static List<SpecificRecordBase> all() {
    return List.of(
        prompt(),
        demonstration(),
        judgment(),
        rollout(),
        new Reward("p1/0", "p1", 3L, 4L, 1.5f, -0.25f, 5L, 6L, 1.5f, 0.75f, 0.125f, TIME),
        new RewardCheckpoint(
            Objective.SAFETY,
            2L,
            "file:///c/safety/v000002",
            SHA256,
            99L,
            Map.of("all", 0.5),
            TIME),
        new PolicyCheckpoint(
            "policy",
            7L,
            "file:///c/policy/v000007",
            SHA256,
            3L,
            12L,
            64L,
            5L,
            Map.of("kl", 0.25),
            TIME),
        new Promotion(
            "policy",
            6L,
            Verdict.HOLD,
            7L,
            "file:///c/policy/v000006",
            SHA256,
            4L,
            List.of("KL 31.0 nats"),
            Map.of("kl", 31.0),
            TIME),
        new TrainingMetrics("ppo", 8L, Map.of("loss", -1.5), TIME),
        new DeadLetter(
            "millrace.prompts",
            1,
            42L,
            null,
            ByteBuffer.wrap(new byte[] {0, (byte) 0xFF, 'x'}),
            "rollout",
            "undecodable",
            "does not start with C301",
            null,
            TIME));
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
        1);
  }

  public static Judgment judgment() {
    return new Judgment(
        "j1",
        Objective.HELPFULNESS,
        question(),
        new JudgedResponse("Paris.", "p1/0", 3L, false),
        new JudgedResponse("No.", null, null, null),
        Preferred.A,
        Rating.BETTER,
        "ann",
        "test",
        TIME);
  }

  public static Rollout rollout() {
    return rollout(List.of(4, 2), List.of(-0.5f, -1.25f));
  }

  public static Rollout rollout(List<Integer> responseTokens, List<Float> logProbs) {
    return new Rollout(
        "p1/0",
        "p1",
        question(),
        false,
        List.of(1, 70_000),
        responseTokens,
        logProbs,
        "Paris.",
        FinishReason.STOP,
        "policy",
        3L,
        1.0f,
        0.9f,
        11L,
        "test",
        TIME);
  }

  public static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static List<Turn> question() {
    return List.of(
        new Turn(Role.SYSTEM, "Be short."), new Turn(Role.USER, "What is the capital of France?"));
  }
}
