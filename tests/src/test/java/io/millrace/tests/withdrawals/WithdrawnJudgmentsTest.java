package io.millrace.tests.withdrawals;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.jobs.Job;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.rewardmodel.JudgmentTokens;
import io.millrace.jobs.testkit.Deployment;
import io.millrace.jobs.testkit.JobHarness;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.reward.Margin;
import io.millrace.model.reward.RewardModelTrainer.Pair;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Rating;
import io.millrace.schemas.Role;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import io.millrace.schemas.Turn;
import io.millrace.schemas.Withdrawal;
import io.millrace.schemas.WithdrawnBy;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.flink.api.common.JobID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** A judgment that is withdrawn is in no state afterwards, and no new lineage learns from it. */
class WithdrawnJudgmentsTest {

  private static final Duration PATIENCE = Duration.ofMinutes(2);
  private static final Instant TIME = Instant.parse("2026-01-02T03:04:05Z");

  /** Judgments of each kind in each half. */
  private static final int EACH = 16;

  /** Withdrawn by its id, annotator, source or a tombstone; or not at all. */
  private enum Kind {
    ID,
    ANNOTATOR,
    SOURCE,
    TOMBSTONE,
    KEPT
  }

  @RegisterExtension
  private static final JobHarness HARNESS =
      new JobHarness(
              6,
              "model.hidden-size=16",
              "model.layers=1",
              "model.heads=2",
              "model.ffn-size=32",
              "model.max-positions=256",
              "reward-model.objectives=HELPFULNESS",
              "reward-model.batch-size=8",
              "reward-model.publish-every=16",
              "reward-model.shuffle-buffer=16",
              "reward-model.anchor-count=64",
              "reward-model.replay-capacity=32",
              "reward-model.helpfulness.mixing.own=0.5",
              "reward-model.helpfulness.mixing.gone=0.5",
              "ppo.held-out-share=0.2")
          // Flink sends accumulators with its heartbeats.
          .flink(Map.of("heartbeat.interval", "500"));

  private static Judgment judgment(Kind kind, int i) {
    String text = "%s %03d".formatted(kind, i);
    return Judgment.newBuilder()
        .setJudgmentId(kind + "-" + i)
        .setObjective(Objective.HELPFULNESS)
        .setDialogue(List.of(new Turn(Role.USER, "Question " + text)))
        .setResponseA(JudgedResponse.newBuilder().setText("Yes to " + text).build())
        .setResponseB(JudgedResponse.newBuilder().setText("No to " + text).build())
        .setPreferred(i % 2 == 0 ? Preferred.A : Preferred.B)
        .setRating(Rating.BETTER)
        .setAnnotator(kind == Kind.ANNOTATOR ? "gone" : "stays")
        .setSource(kind == Kind.SOURCE ? "gone" : "own")
        .setTime(TIME)
        .build();
  }

  /** Of all kinds in turn. */
  private static List<Judgment> judgments(int from, int to) {
    List<Judgment> judgments = new ArrayList<>();
    for (int i = from; i < to; i++) {
      for (Kind kind : Kind.values()) {
        judgments.add(judgment(kind, i));
      }
    }
    return judgments;
  }

  private static void withdraw(Deployment deployment) throws IOException {
    List<Withdrawal> withdrawals = new ArrayList<>();
    withdrawals.add(new Withdrawal("w1", WithdrawnBy.ANNOTATOR, "gone", "", "", TIME));
    withdrawals.add(new Withdrawal("w2", WithdrawnBy.SOURCE, "gone", "", "", TIME));
    for (int i = 0; i < 2 * EACH; i++) {
      String id = judgment(Kind.ID, i).getJudgmentId();
      withdrawals.add(new Withdrawal("id " + id, WithdrawnBy.ID, id, "", "", Instant.EPOCH));
    }
    deployment.send(Topic.WITHDRAWALS, withdrawals);
    try (RecordWriter writer = new RecordWriter(deployment.kafka())) {
      for (int i = 0; i < 2 * EACH; i++) {
        String id = judgment(Kind.TOMBSTONE, i).getJudgmentId();
        writer.sendRaw(Topic.JUDGMENTS, id.getBytes(StandardCharsets.UTF_8), null);
      }
    }
  }

  private static void await(String what, Callable<Boolean> condition) throws Exception {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (!condition.call()) {
      assertTrue(System.nanoTime() < deadline, what);
      Thread.onSpinWait();
    }
  }

  private static double learned(Deployment deployment) throws IOException {
    return deployment.read(Topic.TRAINING_METRICS).stream()
        .map(TrainingMetrics::getMetrics)
        .mapToDouble(metrics -> metrics.getOrDefault("learned", 0.0))
        .max()
        .orElse(0);
  }

  private static long count(JobID job, String accumulator) throws Exception {
    return (long) HARNESS.cluster().accumulators(job).getOrDefault(accumulator, 0L);
  }

  /** The number of the newest Flink checkpoint that is complete. */
  private static long newest(Path states) throws IOException {
    if (!Files.exists(states)) {
      return 0;
    }
    try (var files = Files.walk(states)) {
      return files
          .filter(file -> file.endsWith("_metadata"))
          .map(file -> file.getParent().getFileName().toString())
          .mapToLong(name -> Long.parseLong(name.substring("chk-".length())))
          .max()
          .orElse(0);
    } catch (UncheckedIOException e) {
      // Flink deleted a former one meanwhile.
      return 0;
    }
  }

  /** All bytes of the files in a directory, one character a byte. */
  private static String bytes(Path directory) throws IOException {
    StringBuilder all = new StringBuilder();
    try (var files = Files.walk(directory)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        all.append(Files.readString(file, StandardCharsets.ISO_8859_1)).append('\n');
      }
    }
    return all.toString();
  }

  /** The tokens of a judgment's preferred response as they stand in a state. */
  private static String tokens(MillraceConfig config, Judgment judgment) throws IOException {
    try (LocalCheckpoint initial = new RuntimeSettings(config).describeInitial();
        Tokenizer tokenizer = Tokenizer.load(initial.directory())) {
      Pair pair = new JudgmentTokens(ChatTemplate.of(tokenizer)).pair(judgment, Margin.NONE, false);
      ByteArrayOutputStream encoded = new ByteArrayOutputStream();
      BinaryEncoder encoder = EncoderFactory.get().directBinaryEncoder(encoded, null);
      for (int token : pair.preferred()) {
        encoder.writeInt(token);
      }
      return encoded.toString(StandardCharsets.ISO_8859_1);
    }
  }

  /** How many judgments of a kind have their text, or their tokens, in a state. */
  private static long found(MillraceConfig config, String state, Kind kind) throws IOException {
    long found = 0;
    for (int i = 0; i < 2 * EACH; i++) {
      Judgment judgment = judgment(kind, i);
      if (state.contains(judgment.getDialogue().getFirst().getContent())
          || state.contains(judgment.getResponseA().getText())
          || state.contains(judgment.getResponseB().getText())
          || state.contains(tokens(config, judgment))) {
        found++;
      }
    }
    return found;
  }

  @Test
  void aWithdrawnJudgmentIsInNoState() throws Exception {
    Deployment deployment = HARNESS.deploy("withdrawn");
    MillraceConfig config = deployment.config();
    Path states = HARNESS.directory().resolve("withdrawn-flink");

    // Learned from, and waiting.
    deployment.send(Topic.JUDGMENTS, judgments(0, EACH));
    JobID first = HARNESS.cluster().submit(Job.REWARD_MODEL.graph(config, false));
    await("the job does not learn", () -> learned(deployment) >= 2.5 * EACH);
    HARNESS.cluster().cancel(first);
    String before = bytes(states);
    for (Kind kind : Kind.values()) {
      assertTrue(found(config, before, kind) > 0, kind + " is not in the state");
    }
    long anchors = judgments(0, EACH).stream().filter(one -> contains(config, before, one)).count();
    assertTrue(anchors > EACH / 2, "tokens of anchors are found, not " + anchors);

    // Another job learns from them, and then they are withdrawn.
    Path fresh = HARNESS.directory().resolve("withdrawn-unbounded-flink");
    MillraceConfig other =
        deployment.config(
            "flink.state-directory=" + fresh,
            "checkpoints.directory=" + HARNESS.directory().resolve("withdrawn-other"));
    JobID second = HARNESS.cluster().submit(Job.REWARD_MODEL.graph(other, false));
    await("the second job does not learn", () -> newest(fresh) > 0 && hasAll(other, fresh));
    withdraw(deployment);
    // Later ones, which are withdrawn before they are learned from.
    deployment.send(Topic.JUDGMENTS, judgments(EACH, 2 * EACH));
    long withdrawals = 2 + 4 * EACH;
    await(
        "the withdrawals are not applied",
        () -> count(second, "withdrawals/applied") == withdrawals);
    await(
        "not all judgments are read",
        () -> count(second, "topics/judgments/accepted") == 2L * EACH * Kind.values().length);
    long applied = newest(fresh);
    // Records on their way to the trainer are part of a Flink checkpoint until it has dropped them.
    await(
        "withdrawn judgments stay in the state",
        () -> newest(fresh) >= applied + 2 && hasNone(other, fresh));
    HARNESS.cluster().cancel(second);
    String after = bytes(fresh);
    for (Kind kind : Kind.values()) {
      if (kind == Kind.KEPT) {
        assertTrue(found(config, after, kind) > EACH, "judgments of others stay");
      } else {
        assertEquals(0, found(config, after, kind), kind + " is in the state");
      }
    }

    // A new lineage learns from the other judgments only.
    var result =
        deployment.run(
            Job.REWARD_MODEL.graph(
                deployment.config(
                    "checkpoints.directory=" + HARNESS.directory().resolve("withdrawn-third"),
                    "flink.state-directory=" + HARNESS.directory().resolve("third-flink")),
                true));
    Map<String, Double> summary = Deployment.summary(result, "reward-model-helpfulness");
    assertEquals(2.0 * EACH, summary.get("judgments"));
    assertEquals(
        8L * EACH, result.getAllAccumulatorResults().get("topics/judgments/dropped/withdrawn"));
    assertEquals(
        withdrawals,
        deployment.read(Topic.WITHDRAWALS).stream()
            .map(Withdrawal::getWithdrawalId)
            .distinct()
            .count());
    assertFalse(
        IntStream.range(0, 2 * EACH)
            .mapToObj(i -> judgment(Kind.TOMBSTONE, i).getJudgmentId())
            .anyMatch(id -> isDeadLetter(deployment, id)));
  }

  private static boolean contains(MillraceConfig config, String state, Judgment judgment) {
    try {
      return state.contains(tokens(config, judgment));
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Whether texts of all kinds are in the state of a job that runs. */
  private static boolean hasAll(MillraceConfig config, Path states) {
    return Stream.of(Kind.values()).allMatch(kind -> foundNow(config, states, kind) > 0);
  }

  /** Whether only texts that are not withdrawn are in the state of a job that runs. */
  private static boolean hasNone(MillraceConfig config, Path states) {
    return Stream.of(Kind.values())
        .filter(kind -> kind != Kind.KEPT)
        .allMatch(kind -> foundNow(config, states, kind) == 0);
  }

  private static long foundNow(MillraceConfig config, Path states, Kind kind) {
    try {
      return found(config, bytes(states), kind);
    } catch (IOException | UncheckedIOException e) {
      // Flink deleted a former Flink checkpoint meanwhile.
      return -1;
    }
  }

  private static boolean isDeadLetter(Deployment deployment, String id) {
    try {
      return deployment.read(Topic.DEAD_LETTERS).stream()
          .anyMatch(
              letter ->
                  letter.getKey() != null
                      && StandardCharsets.UTF_8.decode(letter.getKey()).toString().equals(id));
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }
}
