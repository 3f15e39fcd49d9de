package io.millrace.jobs.rejection;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.Job;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.runtime.EdgeTap;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.testkit.Deployment;
import io.millrace.jobs.testkit.FailOnce;
import io.millrace.jobs.testkit.JobHarness;
import io.millrace.jobs.testkit.TestModels;
import io.millrace.model.chat.Message;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.Parameters;
import io.millrace.model.rejection.RejectionBag;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Role;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import io.millrace.schemas.Turn;
import io.millrace.world.DemoWorld;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** The job as it is submitted, on a real broker and cluster; models have random weights. */
class RejectionSamplingJobTest {

  private static final long SEED = 4;
  private static final int SAMPLES = 5;
  private static final int PROMPTS = 70;

  @RegisterExtension
  private static final JobHarness HARNESS =
      new JobHarness(
          6,
          "flink.checkpoint-interval=50ms",
          "model.seed=" + SEED,
          "model.hidden-size=16",
          "model.heads=2",
          "model.ffn-size=32",
          "model.max-positions=128",
          "rollout.batch-size=8",
          "rollout.max-tokens=24",
          "rollout.max-prompt-tokens=90",
          "rejection-sampling.samples-per-prompt=" + SAMPLES,
          "rejection-sampling.temperatures=0.5, 1.5",
          "rejection-sampling.prompts-per-version=30",
          "rejection-sampling.batch-size=1",
          "rejection-sampling.sequence-length=128",
          "rejection-sampling.learning-rate=1e-3");

  private static Map<String, Double> run(Deployment deployment, String... settings)
      throws Exception {
    return run(deployment, EdgeTap.NONE, settings);
  }

  private static Map<String, Double> run(Deployment deployment, EdgeTap tap, String... settings)
      throws Exception {
    MillraceConfig config = deployment.config(settings);
    return Deployment.summary(
        deployment.run(Job.REJECTION_SAMPLING.graph(config, true, tap)), "rejection-sampling");
  }

  /** A deployment with an announced reward model of random weights for each objective. */
  private static Deployment withRewardModels(String name) throws IOException {
    Deployment deployment = HARNESS.deploy(name);
    announceRewardModels(deployment, 1);
    return deployment;
  }

  private static void announceRewardModels(Deployment deployment, long version) throws IOException {
    Path initial = Path.of(deployment.config().model().initial());
    List<RewardCheckpoint> announcements = new ArrayList<>();
    for (Objective objective : Objective.values()) {
      Path rewardModel =
          TestModels.rewardModel(
              initial,
              deployment.checkpoints().resolve(objective + "-" + version),
              version,
              version * 10 + objective.ordinal());
      announcements.add(
          RewardCheckpoint.newBuilder()
              .setObjective(objective)
              .setVersion(version)
              .setUri(rewardModel.toString())
              .setManifestSha256(CheckpointDirectory.manifestDigest(rewardModel))
              .setJudgments(0)
              .setMetrics(Map.of())
              .setTime(Instant.EPOCH)
              .build());
    }
    deployment.send(Topic.REWARD_CHECKPOINTS, announcements);
  }

  private static List<TrainingMetrics> metrics(Deployment deployment, String job)
      throws IOException {
    return deployment.read(Topic.TRAINING_METRICS).stream()
        .filter(metrics -> metrics.getJob().equals(job))
        .toList();
  }

  private static List<RejectionBag.Entry> bag(Deployment deployment, long version)
      throws IOException {
    return BagFile.read(BagFile.of(deployment.config(), version));
  }

  private static List<Prompt> prompts(int first, int count) {
    return new DemoWorld(SEED, InstantSource.system()).prompts(first, count);
  }

  /** Three versions, of 30, 30 and the last 10 prompts. */
  @Test
  void runsThatFailInEitherOperatorEndInTheSameBits() throws Exception {
    List<Prompt> prompts = prompts(0, PROMPTS);
    Deployment straight = withRewardModels("straight");
    straight.send(Topic.PROMPTS, prompts);
    Map<String, Double> expected = run(straight);
    assertEquals(0, expected.remove("restarts"));
    assertEquals(PROMPTS, expected.get("prompts"));
    assertEquals(PROMPTS * SAMPLES, expected.get("responses"));
    assertEquals(3, expected.get("versions"));
    assertEquals(List.of(1L, 2L, 3L), List.copyOf(straight.announced().keySet()));

    // The 20th prompt fails while the first version's prompts are sampled. The 40th fails while the
    // trainer learns from them: that takes longer than to sample for 10 prompts.
    for (int prompt : new int[] {20, 40}) {
      Deployment killed = withRewardModels("killed-" + prompt);
      killed.send(Topic.PROMPTS, prompts);
      Map<String, Double> actual = run(killed, new FailOnce("rejection-sampling-trainer", prompt));
      assertEquals(1, actual.remove("restarts"), "the failure never happened, seed " + SEED);
      assertEquals(expected, actual);
      assertEquals(straight.announced(), killed.announced());
      assertEquals(
          bag(straight, 3).stream().map(RejectionBag.Entry::text).toList(),
          bag(killed, 3).stream().map(RejectionBag.Entry::text).toList());
    }
  }

  @Test
  void everyVersionsMetricsStandInTopicAnnouncementAndSummary() throws Exception {
    Deployment run = withRewardModels("metrics");
    run.send(Topic.PROMPTS, prompts(0, PROMPTS));
    Map<String, Double> summary = run(run);
    List<PolicyCheckpoint> announced = run.read(Topic.POLICY_CHECKPOINTS);
    List<TrainingMetrics> metrics = metrics(run, "rejection-sampling");
    assertEquals(3, announced.size());
    assertEquals(3, metrics.size());
    for (int i = 0; i < 3; i++) {
      Map<String, Double> values = metrics.get(i).getMetrics();
      assertEquals(announced.get(i).getVersion(), metrics.get(i).getStep());
      assertEquals(announced.get(i).getMetrics(), values);
      for (int k = 2; k <= SAMPLES; k++) {
        double less = values.get("rejection/all/max/k=" + (k - 1));
        // A prompt with one response that can win has a flat curve.
        assertTrue(values.get("rejection/all/max/k=" + k) >= less, values.toString());
      }
      double best = values.get("rejection/helpfulness/best-temperature");
      assertTrue(best == 0.5 || best == 1.5, values.toString());
      try (CheckpointDirectory checkpoint =
          CheckpointDirectory.open(JobSettings.store(run.config()).directory("policy", i + 1L))) {
        CheckpointManifest manifest = checkpoint.manifest().orElseThrow();
        assertEquals(values, manifest.metrics());
        assertEquals(
            Map.of(
                "prompts",
                (long) Math.min(PROMPTS, 30 * (i + 1)),
                "responses",
                (long) SAMPLES * Math.min(PROMPTS, 30 * (i + 1))),
            manifest.records());
      }
    }
    metrics
        .getLast()
        .getMetrics()
        .forEach((name, value) -> assertEquals(value, summary.get(name), name));
    assertEquals(
        metrics.stream().mapToDouble(version -> version.getMetrics().get("updates")).sum(),
        metrics(run, "rejection-sampling-update").size());
  }

  private static Prompt prompt(String id, String said) {
    return Prompt.newBuilder()
        .setPromptId(id)
        .setDialogue(List.of(new Turn(Role.USER, said)))
        .setTime(Instant.EPOCH)
        .build();
  }

  @Test
  void aLaterRunGoesOnWithTheBagAndSamplesTheSamePromptsAnew() throws Exception {
    Deployment chain = withRewardModels("chain");
    chain.send(Topic.PROMPTS, prompts(0, 20));
    chain.send(Topic.PROMPTS, List.of(prompt("long", "far ".repeat(200))));
    assertEquals(1, run(chain).get("versions"));
    assertEquals(
        List.of("too-long"),
        chain.read(Topic.DEAD_LETTERS).stream().map(DeadLetter::getReason).toList());
    List<RejectionBag.Entry> before = bag(chain, 1);

    announceRewardModels(chain, 2);
    Map<String, Double> summary =
        run(
            chain,
            "rejection-sampling.prompts=all",
            "rejection-sampling.bag=" + BagFile.of(chain.config(), 1));
    assertEquals(20, summary.get("prompts"));
    assertEquals(1, summary.get("rejection/sampler-version"));
    assertEquals(2, summary.get("rejection/safety-version"));
    assertEquals(before.size(), summary.get("bag/rescored"));
    List<RejectionBag.Entry> after = bag(chain, 2);
    assertEquals(
        before.size() + 20 - summary.get("without-winner"),
        after.size() + summary.get("bag/duplicates"));
    assertTrue(after.stream().anyMatch(entry -> entry.policyVersion() == 1), "nothing new");
    for (RejectionBag.Entry entry : after) {
      assertEquals(2, entry.scores().helpfulnessVersion());
    }
    try (CheckpointDirectory published =
        CheckpointDirectory.open(JobSettings.store(chain.config()).directory("policy", 2))) {
      assertEquals(1L, published.manifest().orElseThrow().parent());
    }
  }

  @Test
  void aStudentLearnsFromTheBagAndTheSamplerStaysAsItIs() throws Exception {
    Deployment run = withRewardModels("teacher");
    run.send(Topic.PROMPTS, prompts(0, 20));
    var _ = run(run);
    Path student =
        smaller(Path.of(run.config().model().initial()), HARNESS.directory().resolve("small"));
    // No prompt is new: the student learns from the bag alone.
    Map<String, Double> summary =
        run(
            run,
            "rejection-sampling.bag=" + BagFile.of(run.config(), 1),
            "rejection-sampling.student=" + student,
            "rejection-sampling.student-name=small");
    assertEquals(0, summary.get("prompts"));
    assertEquals(1, summary.get("version"));
    assertTrue(summary.get("updates") > 0, summary.toString());
    assertEquals(
        List.of("policy", "small"),
        run.read(Topic.POLICY_CHECKPOINTS).stream().map(PolicyCheckpoint::getModel).toList());
    try (CheckpointDirectory published =
            CheckpointDirectory.open(JobSettings.store(run.config()).directory("small", 1));
        CheckpointDirectory before = CheckpointDirectory.open(student)) {
      assertEquals(before.config(), published.config());
    }
  }

  /** A policy of one layer in place of two, with the same tokenizer. */
  private static Path smaller(Path like, Path student) {
    try (Backend backend = Backends.openDefault();
        Tokenizer tokenizer = Tokenizer.load(like);
        CheckpointDirectory teacher = CheckpointDirectory.open(like)) {
      LlamaConfig large = teacher.config();
      LlamaConfig small =
          LlamaConfig.builder()
              .vocabSize(large.vocabSize())
              .hiddenSize(8)
              .layers(1)
              .heads(2)
              .kvHeads(1)
              .headDim(4)
              .ffnSize(16)
              .maxPositions(large.maxPositions())
              .tiedHead(true)
              .bosToken(tokenizer.bos())
              .eosToken(tokenizer.eos())
              .build();
      try (Parameters weights = Parameters.random(backend, small.parameters(), 5)) {
        CheckpointDirectory.write(
            student,
            small,
            ModelWeights.sources(weights),
            tokenizer::save,
            CheckpointManifest.describing(CheckpointKind.POLICY, "small", 0).build());
      }
    }
    return student;
  }

  @Test
  void aStudentWithAnotherTokenizerIsRefusedByName() throws Exception {
    Deployment run = HARNESS.deploy("strange");
    String student = HARNESS.deploy("stranger").config("model.vocab-size=600").model().initial();
    MillraceConfig config =
        run.config(
            "rejection-sampling.student=" + student, "rejection-sampling.student-name=small");
    String message =
        assertThrows(
                IllegalArgumentException.class, () -> Job.REJECTION_SAMPLING.graph(config, true))
            .getMessage();
    assertTrue(message.contains(student), message);
    assertTrue(message.contains(run.config().model().initial()), message);
  }

  @Test
  void aFileThatIsNoBagIsRefusedWithItsLine() throws Exception {
    Path file =
        Files.writeString(HARNESS.directory().resolve("no-bag.jsonl"), "{\"messages\": []}\n");
    MillraceConfig config = HARNESS.deploy("no-bag").config("rejection-sampling.bag=" + file);
    String message =
        assertThrows(UncheckedIOException.class, () -> Job.REJECTION_SAMPLING.graph(config, true))
            .getMessage();
    assertTrue(message.contains(file + ":1"), message);
  }

  @Test
  void anotherModelsBagIsRefusedWithTheEntryThatDoesNotFit() throws Exception {
    Path file = HARNESS.directory().resolve("strange-bag.jsonl");
    BagFile.write(
        file,
        List.of(
            new RejectionBag.Entry(
                "p1",
                List.of(Message.user("Hi")),
                false,
                new int[] {1, 2},
                new int[] {99_999},
                "Hello",
                1,
                1,
                new RejectionBag.Scores(0, 0, 1, 1),
                "",
                0)));
    MillraceConfig config = HARNESS.deploy("strange-bag").config("rejection-sampling.bag=" + file);
    String message =
        assertThrows(
                IllegalArgumentException.class, () -> Job.REJECTION_SAMPLING.graph(config, true))
            .getMessage();
    assertTrue(message.contains("prompt p1 has 3 tokens up to id 99999"), message);
  }

  @Test
  void promptsThatNoRewardModelWillEverScoreFailTheJob() throws Exception {
    Deployment run = HARNESS.deploy("unscored");
    run.send(Topic.PROMPTS, prompts(0, 3));
    Throwable failure = assertThrows(Exception.class, () -> run(run));
    while (failure.getCause() != null) {
      failure = failure.getCause();
    }
    assertTrue(
        failure.getMessage().contains("3 prompts cannot be scored: no helpfulness and no safety"),
        failure.toString());
  }
}
