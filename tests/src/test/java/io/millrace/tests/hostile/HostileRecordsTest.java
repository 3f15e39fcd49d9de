package io.millrace.tests.hostile;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.jobs.Job;
import io.millrace.jobs.testkit.Deployment;
import io.millrace.jobs.testkit.JobHarness;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Reward;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Role;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import io.millrace.schemas.wire.SingleObject;
import io.millrace.world.Annotators;
import io.millrace.world.DemoWorld;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.flink.api.common.JobExecutionResult;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/**
 * Hostile records in every input topic, between good ones: each becomes a dead letter with its
 * reason, every good record is used once, and no job fails.
 */
class HostileRecordsTest {

  private static final long SEED = 3;
  private static final InstantSource CLOCK =
      InstantSource.fixed(Instant.parse("2026-01-01T00:00:00Z"));

  @RegisterExtension
  private static final JobHarness HARNESS =
      new JobHarness(
          4,
          "model.seed=" + SEED,
          "model.hidden-size=16",
          "model.layers=1",
          "model.heads=2",
          "model.ffn-size=32",
          "model.max-positions=256",
          "supervised.publish-every=1000",
          "reward-model.batch-size=8",
          "reward-model.publish-every=1000",
          "rollout.max-tokens=8",
          "rollout.max-prompt-tokens=120",
          "ppo.batch-size=16",
          "ppo.mini-batch-size=8",
          "ppo.score-batch-size=8",
          "ppo.max-staleness=1000");

  private final DemoWorld world = new DemoWorld(SEED, CLOCK);
  private final Deployment deployment = deploy();

  /** Reasons of the dead letters that must be there, by job and key. */
  private final Map<String, String> expected = new TreeMap<>();

  private static Deployment deploy() {
    try {
      return HARNESS.deploy("hostile");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private record Poison(String key, String reason, byte[] value) {}

  private static <T extends SpecificRecordBase> byte[] encoded(Topic<T> topic, T record) {
    return SingleObject.of(topic.type()).encode(record);
  }

  private static <T extends SpecificRecordBase> Poison poison(
      Topic<T> topic, String reason, T record) {
    return new Poison(topic.keyOf(record), reason, encoded(topic, record));
  }

  /** Bytes that are no record of the topic. */
  private static <T extends SpecificRecordBase> List<Poison> undecodable(Topic<T> topic, T good) {
    byte[] whole = encoded(topic, good);
    byte[] otherSchema = whole.clone();
    otherSchema[4] ^= 1;
    byte[] notUtf8 = whole.clone();
    notUtf8[indexOf(whole, topic.keyOf(good).getBytes(StandardCharsets.UTF_8))] = (byte) 0xff;
    // The length of the first string: 2^31 - 1 bytes.
    byte[] length = {(byte) 0xfe, (byte) 0xff, (byte) 0xff, (byte) 0xff, 0x0f};
    byte[] endless = Arrays.copyOf(whole, 10 + length.length);
    System.arraycopy(length, 0, endless, 10, length.length);
    return List.of(
        new Poison("garbage", "undecodable", "{\"a\": 1}".getBytes(StandardCharsets.UTF_8)),
        new Poison("large-garbage", "undecodable", new byte[1_200_000]),
        new Poison("empty", "undecodable", new byte[0]),
        new Poison("truncated", "undecodable", Arrays.copyOf(whole, whole.length - 1)),
        new Poison("longer", "undecodable", Arrays.copyOf(whole, whole.length + 1)),
        new Poison("other-schema", "undecodable", otherSchema),
        new Poison("not-utf8", "undecodable", notUtf8),
        new Poison("endless", "undecodable", endless));
  }

  private static int indexOf(byte[] bytes, byte[] part) {
    return new String(bytes, StandardCharsets.ISO_8859_1)
        .indexOf(new String(part, StandardCharsets.ISO_8859_1));
  }

  /** Sends good and bad records in turn. */
  private <T extends SpecificRecordBase> void send(
      String job, Topic<T> topic, List<T> good, List<Poison> bad) throws IOException {
    try (RecordWriter writer = new RecordWriter(deployment.kafka())) {
      for (int i = 0; i < Math.max(good.size(), bad.size()); i++) {
        if (i < bad.size()) {
          Poison poison = bad.get(i);
          writer.sendRaw(topic, poison.key().getBytes(StandardCharsets.UTF_8), poison.value());
          expected.put(job + " " + topic + " " + cut(poison.key()), poison.reason());
        }
        if (i < good.size()) {
          writer.send(topic, good.get(i));
        }
      }
    }
  }

  private static String cut(String key) {
    return key.substring(0, Math.min(key.length(), 40));
  }

  private JobExecutionResult run(Job job) throws Exception {
    return deployment.run(job.graph(deployment.config(), true));
  }

  private void assertDeadLetters(String job) throws IOException {
    Map<String, String> reasons = new TreeMap<>();
    for (DeadLetter letter : deployment.read(Topic.DEAD_LETTERS)) {
      if (letter.getJob().equals(job)) {
        byte[] key = new byte[letter.getKey().remaining()];
        letter.getKey().duplicate().get(key);
        String topic = letter.getTopic().substring(deployment.kafka().topicPrefix().length());
        reasons.put(
            job + " " + topic + " " + cut(new String(key, StandardCharsets.UTF_8)),
            letter.getReason());
        assertFalse(letter.getMessage().isBlank());
        assertFalse(letter.getMessage().contains("io.millrace"), letter.getMessage());
      }
    }
    Map<String, String> of = new TreeMap<>(expected);
    of.keySet().removeIf(key -> !key.startsWith(job + " "));
    assertEquals(of, reasons);
  }

  @Test
  void everyHostileRecordIsADeadLetterAndEveryGoodOneCounts() throws Exception {
    supervised();
    rewardModel();
    rollout();
    ppo();
  }

  private void supervised() throws Exception {
    List<Demonstration> good = world.demonstrations(24);
    Demonstration one = good.getFirst();
    List<Poison> bad = new ArrayList<>(undecodable(Topic.DEMONSTRATIONS, one));
    bad.add(poison(Topic.DEMONSTRATIONS, "invalid", demonstration(one, "no-turns", List.of())));
    bad.add(
        poison(
            Topic.DEMONSTRATIONS,
            "invalid",
            demonstration(one, "no-answer", List.of(new Turn(Role.USER, "Hi")))));
    bad.add(
        poison(
            Topic.DEMONSTRATIONS,
            "invalid",
            Demonstration.newBuilder(one).setId("turn").setFirstLearnedTurn(99).build()));
    bad.add(poison(Topic.DEMONSTRATIONS, "invalid", demonstration(one, " ", one.getDialogue())));
    bad.add(
        poison(
            Topic.DEMONSTRATIONS,
            "invalid",
            demonstration(one, "x".repeat(400_000), one.getDialogue())));
    bad.add(
        poison(
            Topic.DEMONSTRATIONS,
            "too-long",
            demonstration(
                one,
                "spaces",
                List.of(
                    new Turn(Role.USER, "Hi"),
                    new Turn(Role.ASSISTANT, " ".repeat(11_000_000) + "x")))));
    bad.add(new Poison("other-key", "wrong-key", encoded(Topic.DEMONSTRATIONS, one)));
    send("supervised", Topic.DEMONSTRATIONS, good, bad);
    var _ = run(Job.SUPERVISED);
    assertDeadLetters("supervised");
    assertEquals(
        good.size(), deployment.read(Topic.POLICY_CHECKPOINTS).getLast().getDemonstrations());
  }

  private static Demonstration demonstration(Demonstration one, String id, List<Turn> dialogue) {
    return Demonstration.newBuilder(one).setId(id).setDialogue(dialogue).build();
  }

  private void rewardModel() throws Exception {
    Annotators annotators = new Annotators(world, SEED, CLOCK);
    List<Judgment> good = new ArrayList<>(annotators.archive(Objective.HELPFULNESS, 16));
    good.addAll(annotators.archive(Objective.SAFETY, 16));
    Judgment one = good.getFirst();
    JudgedResponse a = one.getResponseA();
    List<Poison> bad = new ArrayList<>(undecodable(Topic.JUDGMENTS, one));
    bad.add(
        poison(Topic.JUDGMENTS, "same-responses", judgment(one, "same").setResponseB(a).build()));
    bad.add(
        poison(
            Topic.JUDGMENTS,
            "invalid",
            judgment(one, "blank")
                .setResponseB(JudgedResponse.newBuilder(a).setText(" \n").build())
                .build()));
    bad.add(
        poison(
            Topic.JUDGMENTS,
            "invalid",
            judgment(one, "time").setTime(Instant.ofEpochMilli(Long.MAX_VALUE)).build()));
    bad.add(poison(Topic.JUDGMENTS, "invalid", judgment(one, "x".repeat(400_000)).build()));
    bad.add(
        poison(
            Topic.JUDGMENTS,
            "invalid",
            judgment(one, "assistant-last")
                .setDialogue(List.of(new Turn(Role.ASSISTANT, "Hi")))
                .build()));
    bad.add(
        poison(
            Topic.JUDGMENTS,
            "too-long",
            judgment(one, "spaces")
                .setResponseA(
                    JudgedResponse.newBuilder(a).setText(" ".repeat(11_000_000) + "x").build())
                .build()));
    bad.add(new Poison("other-key", "wrong-key", encoded(Topic.JUDGMENTS, one)));
    send("reward-model", Topic.JUDGMENTS, good, bad);
    var _ = run(Job.REWARD_MODEL);
    assertDeadLetters("reward-model");
    Map<Objective, Long> learned = new TreeMap<>();
    deployment
        .read(Topic.REWARD_CHECKPOINTS)
        .forEach(announced -> learned.put(announced.getObjective(), announced.getJudgments()));
    assertEquals(Map.of(Objective.HELPFULNESS, 16L, Objective.SAFETY, 16L), learned);
  }

  private static Judgment.Builder judgment(Judgment one, String id) {
    return Judgment.newBuilder(one).setJudgmentId(id);
  }

  private void rollout() throws Exception {
    List<Prompt> good = world.prompts(0, 32);
    Prompt one = good.getFirst();
    List<Poison> bad = new ArrayList<>(undecodable(Topic.PROMPTS, one));
    bad.add(poison(Topic.PROMPTS, "too-long", prompt("spaces", " ".repeat(11_000_000) + "x")));
    bad.add(poison(Topic.PROMPTS, "too-long", prompt("words", "far ".repeat(2_000))));
    bad.add(poison(Topic.PROMPTS, "invalid", prompt("x".repeat(400_000), "Hi")));
    bad.add(poison(Topic.PROMPTS, "invalid", prompt("\t", "Hi")));
    bad.add(
        poison(
            Topic.PROMPTS,
            "invalid",
            Prompt.newBuilder(one)
                .setPromptId("answered")
                .setDialogue(List.of(new Turn(Role.USER, "Hi"), new Turn(Role.ASSISTANT, "Ho")))
                .build()));
    bad.add(new Poison("other-key", "wrong-key", encoded(Topic.PROMPTS, one)));
    send("rollout", Topic.PROMPTS, good, bad);

    PolicyCheckpoint announced = deployment.read(Topic.POLICY_CHECKPOINTS).getLast();
    PolicyCheckpoint outside =
        PolicyCheckpoint.newBuilder(announced).setVersion(90).setUri("file:///etc").build();
    send(
        "rollout",
        Topic.POLICY_CHECKPOINTS,
        List.of(),
        List.of(poison(Topic.POLICY_CHECKPOINTS, "outside-root", outside)));
    var _ = run(Job.ROLLOUT);
    assertDeadLetters("rollout");
    Set<String> answered = new HashSet<>();
    List<Rollout> rollouts = deployment.read(Topic.ROLLOUTS);
    rollouts.forEach(rollout -> answered.add(rollout.getPromptId()));
    assertEquals(good.size(), rollouts.size());
    assertEquals(good.size(), answered.size());
    assertEquals(1, rollouts.getLast().getPolicyVersion());
  }

  private static Prompt prompt(String id, String text) {
    return Prompt.newBuilder()
        .setPromptId(id)
        .setDialogue(List.of(new Turn(Role.USER, text)))
        .build();
  }

  private void ppo() throws Exception {
    List<Rollout> good = deployment.read(Topic.ROLLOUTS);
    Rollout one =
        good.stream()
            .filter(rollout -> rollout.getResponseTokens().size() > 2)
            .findFirst()
            .orElseThrow();
    List<Poison> bad = new ArrayList<>(undecodable(Topic.ROLLOUTS, one));
    bad.add(poison(Topic.ROLLOUTS, "invalid", logProb(one, "positive", 0.5f)));
    bad.add(poison(Topic.ROLLOUTS, "invalid", logProb(one, "nan", Float.NaN)));
    bad.add(poison(Topic.ROLLOUTS, "invalid", token(one, "vocabulary", 1 << 30)));
    bad.add(poison(Topic.ROLLOUTS, "invalid", token(one, "negative", -1)));
    bad.add(
        poison(
            Topic.ROLLOUTS,
            "invalid",
            rollout(one, "lengths")
                .setLogProbs(new ArrayList<>(one.getLogProbs().subList(1, 2)))
                .build()));
    bad.add(poison(Topic.ROLLOUTS, "unknown-model", rollout(one, "model").setModel("x").build()));
    bad.add(
        poison(
            Topic.ROLLOUTS,
            "unknown-version",
            rollout(one, "version").setPolicyVersion(1_000_000).build()));
    bad.add(
        poison(
            Topic.ROLLOUTS,
            "other-temperature",
            rollout(one, "temperature").setTemperature(0.7f).build()));
    bad.add(
        poison(Topic.ROLLOUTS, "not-the-policy's", rollout(one, "top-p").setTopP(0.9f).build()));
    bad.add(
        poison(
            Topic.ROLLOUTS,
            "inconsistent",
            rollout(one, "text").setResponseText("another text").build()));
    bad.add(
        poison(
            Topic.ROLLOUTS,
            "inconsistent",
            rollout(one, "reason")
                .setFinishReason(
                    one.getFinishReason() == FinishReason.STOP
                        ? FinishReason.LENGTH
                        : FinishReason.STOP)
                .build()));
    bad.add(new Poison("other-key", "wrong-key", encoded(Topic.ROLLOUTS, one)));
    send("ppo", Topic.ROLLOUTS, List.of(), bad);
    RewardCheckpoint safety =
        deployment.read(Topic.REWARD_CHECKPOINTS).stream()
            .filter(announced -> announced.getObjective() == Objective.SAFETY)
            .findFirst()
            .orElseThrow();
    send(
        "ppo",
        Topic.REWARD_CHECKPOINTS,
        List.of(),
        List.of(
            new Poison(
                Objective.HELPFULNESS.name(),
                "unusable-checkpoint",
                encoded(
                    Topic.REWARD_CHECKPOINTS,
                    RewardCheckpoint.newBuilder(safety)
                        .setObjective(Objective.HELPFULNESS)
                        .build()))));
    var _ = run(Job.PPO);
    assertDeadLetters("ppo");
    List<String> learned =
        deployment.read(Topic.REWARDS).stream().map(Reward::getRolloutId).toList();
    assertEquals(good.size(), learned.size());
    assertEquals(good.size(), new HashSet<>(learned).size());
    assertEquals(good.size(), deployment.read(Topic.POLICY_CHECKPOINTS).getLast().getRollouts());
  }

  private static Rollout.Builder rollout(Rollout one, String id) {
    return Rollout.newBuilder(one).setRolloutId(id);
  }

  private static Rollout logProb(Rollout one, String id, float value) {
    List<Float> logProbs = new ArrayList<>(one.getLogProbs());
    logProbs.set(1, value);
    return rollout(one, id).setLogProbs(logProbs).build();
  }

  private static Rollout token(Rollout one, String id, int token) {
    List<Integer> tokens = new ArrayList<>(one.getResponseTokens());
    tokens.set(0, token);
    return rollout(one, id).setResponseTokens(tokens).build();
  }
}
