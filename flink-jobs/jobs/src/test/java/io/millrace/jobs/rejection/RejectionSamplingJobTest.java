package io.millrace.jobs.rejection;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.jobs.Job;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.runtime.EdgeTap;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.runtime.LocalCluster;
import io.millrace.jobs.testkit.FailOnce;
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
import java.util.Optional;
import java.util.TreeMap;
import org.apache.flink.api.common.JobExecutionResult;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The job as it is submitted, on a real broker and cluster; models have random weights. */
class RejectionSamplingJobTest {

  private static final long SEED = 4;
  private static final int SAMPLES = 5;
  private static final int PROMPTS = 70;

  @TempDir private static Path directory;
  private static EmbeddedBroker broker;
  private static LocalCluster cluster;

  @BeforeAll
  static void start() throws Exception {
    broker = EmbeddedBroker.start(directory.resolve("kafka"), 0);
    cluster = LocalCluster.start(6);
  }

  @AfterAll
  static void stop() throws Exception {
    cluster.close();
    broker.close();
  }

  /** A run with topics and checkpoints of its own. */
  private record Run(String name, MillraceConfig config) {

    static Run of(String name, String... settings) throws IOException {
      List<String> all =
          new ArrayList<>(
              List.of(
                  "kafka.bootstrap-servers=" + broker.bootstrapServers(),
                  "kafka.topic-prefix=" + name + ".",
                  "checkpoints.directory=" + directory.resolve(name),
                  "flink.state-directory=" + directory.resolve(name + "-flink"),
                  "flink.checkpoint-interval=50ms",
                  "flink.restart-delay=50ms",
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
                  "rejection-sampling.learning-rate=1e-3"));
      all.addAll(List.of(settings));
      MillraceConfig config = InitialModel.ensure(ConfigLoader.load(Optional.empty(), all));
      try (TopicAdmin admin = new TopicAdmin(JobSettings.kafka(config))) {
        admin.createAll(1, 1);
      }
      return new Run(name, config);
    }

    KafkaSettings kafka() {
      return JobSettings.kafka(config);
    }

    Map<String, Double> run() throws Exception {
      return run(EdgeTap.NONE);
    }

    /** The run fails once, when the candidates of a prompt are about to reach the trainer. */
    Map<String, Double> runFailingAt(long prompt) throws Exception {
      return run(new FailOnce("rejection-sampling-trainer", prompt));
    }

    private Map<String, Double> run(EdgeTap tap) throws Exception {
      return summary(
          cluster.await(cluster.submit(Job.REJECTION_SAMPLING.graph(config, true, tap))));
    }

    void send(List<Prompt> prompts) throws IOException {
      try (RecordWriter writer = new RecordWriter(kafka())) {
        for (Prompt prompt : prompts) {
          writer.send(Topic.PROMPTS, prompt);
        }
        writer.flush();
      }
    }

    /** Announces a reward model of random weights for either objective. */
    Run withRewardModels(long version) throws IOException {
      try (RecordWriter writer = new RecordWriter(kafka())) {
        for (Objective objective : Objective.values()) {
          Path rewardModel =
              TestModels.rewardModel(
                  Path.of(config.model().initial()),
                  directory.resolve(name + "-" + objective + "-" + version),
                  version,
                  version * 10 + objective.ordinal());
          writer.send(
              Topic.REWARD_CHECKPOINTS,
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
        writer.flush();
      }
      return this;
    }

    List<PolicyCheckpoint> announced() throws IOException {
      List<PolicyCheckpoint> announced = new ArrayList<>();
      try (RecordReader<PolicyCheckpoint> reader =
          RecordReader.fromEarliest(kafka(), Topic.POLICY_CHECKPOINTS)) {
        reader.readToEnd(entry -> announced.add(entry.record().orElseThrow()));
      }
      return announced;
    }

    /** Digests of what was announced, by version. */
    Map<Long, String> digests() throws IOException {
      Map<Long, String> digests = new TreeMap<>();
      announced().forEach(policy -> digests.put(policy.getVersion(), policy.getManifestSha256()));
      return digests;
    }

    List<TrainingMetrics> metrics(String job) throws IOException {
      List<TrainingMetrics> metrics = new ArrayList<>();
      try (RecordReader<TrainingMetrics> reader =
          RecordReader.fromEarliest(kafka(), Topic.TRAINING_METRICS)) {
        reader.readToEnd(
            entry -> {
              if (entry.record().orElseThrow().getJob().equals(job)) {
                metrics.add(entry.record().orElseThrow());
              }
            });
      }
      return metrics;
    }

    List<RejectionBag.Entry> bag(long version) throws IOException {
      return BagFile.read(BagFile.of(config, version));
    }
  }

  @SuppressWarnings("unchecked")
  private static Map<String, Double> summary(JobExecutionResult result) {
    return (Map<String, Double>) result.getAllAccumulatorResults().get("rejection-sampling");
  }

  private static List<Prompt> prompts(int first, int count) {
    return new DemoWorld(SEED, InstantSource.system()).prompts(first, count);
  }

  /** Three versions, of 30, 30 and the last 10 prompts. */
  @Test
  void runsThatFailInEitherOperatorEndInTheSameBits() throws Exception {
    List<Prompt> prompts = prompts(0, PROMPTS);
    Run straight = Run.of("straight").withRewardModels(1);
    straight.send(prompts);
    Map<String, Double> expected = new TreeMap<>(straight.run());
    assertEquals(0, expected.remove("restarts"));
    assertEquals(PROMPTS, expected.get("prompts"));
    assertEquals(PROMPTS * SAMPLES, expected.get("responses"));
    assertEquals(3, expected.get("versions"));
    assertEquals(List.of(1L, 2L, 3L), List.copyOf(straight.digests().keySet()));

    // The 20th prompt while the first version's prompts are sampled, the 40th while it is learned
    // from them, as it takes more updates than 10 prompts take time.
    for (int prompt : new int[] {20, 40}) {
      Run killed = Run.of("killed-" + prompt).withRewardModels(1);
      killed.send(prompts);
      Map<String, Double> actual = new TreeMap<>(killed.runFailingAt(prompt));
      assertEquals(1, actual.remove("restarts"), "the failure never happened, seed " + SEED);
      assertEquals(expected, actual);
      assertEquals(straight.digests(), killed.digests());
      assertEquals(
          straight.bag(3).stream().map(RejectionBag.Entry::text).toList(),
          killed.bag(3).stream().map(RejectionBag.Entry::text).toList());
    }
  }

  @Test
  void everyVersionsFiguresStandInMetricsAnnouncementAndSummary() throws Exception {
    Run run = Run.of("figures").withRewardModels(1);
    run.send(prompts(0, PROMPTS));
    Map<String, Double> summary = run.run();
    List<PolicyCheckpoint> announced = run.announced();
    List<TrainingMetrics> metrics = run.metrics("rejection-sampling");
    assertEquals(3, announced.size());
    assertEquals(3, metrics.size());
    for (int i = 0; i < 3; i++) {
      Map<String, Double> figures = metrics.get(i).getMetrics();
      assertEquals(announced.get(i).getVersion(), metrics.get(i).getStep());
      assertEquals(announced.get(i).getMetrics(), figures);
      for (int k = 2; k <= SAMPLES; k++) {
        double less = figures.get("rejection/all/max/k=" + (k - 1));
        assertTrue(figures.get("rejection/all/max/k=" + k) > less, figures.toString());
      }
      double best = figures.get("rejection/best-temperature");
      assertTrue(best == 0.5 || best == 1.5, figures.toString());
      try (CheckpointDirectory checkpoint =
          CheckpointDirectory.open(JobSettings.store(run.config()).directory("policy", i + 1L))) {
        CheckpointManifest manifest = checkpoint.manifest().orElseThrow();
        assertEquals(figures, manifest.metrics());
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
        .forEach((name, figure) -> assertEquals(figure, summary.get(name), name));
    assertEquals(
        metrics.stream().mapToDouble(version -> version.getMetrics().get("updates")).sum(),
        run.metrics("rejection-sampling-update").size());
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
    Run first = Run.of("chain").withRewardModels(1);
    first.send(prompts(0, 20));
    first.send(List.of(prompt("long", "far ".repeat(200))));
    assertEquals(1, first.run().get("versions"));
    List<String> letters = new ArrayList<>();
    try (RecordReader<DeadLetter> reader =
        RecordReader.fromEarliest(first.kafka(), Topic.DEAD_LETTERS)) {
      reader.readToEnd(entry -> letters.add(entry.record().orElseThrow().getReason()));
    }
    assertEquals(List.of("too-long"), letters);
    List<RejectionBag.Entry> before = first.bag(1);

    first.withRewardModels(2);
    Run second =
        Run.of(
            "chain",
            "model.initial=" + first.config().model().initial(),
            "rejection-sampling.prompts=all",
            "rejection-sampling.bag=" + BagFile.of(first.config(), 1));
    Map<String, Double> summary = second.run();
    assertEquals(20, summary.get("prompts"));
    assertEquals(1, summary.get("rejection/sampler-version"));
    assertEquals(2, summary.get("rejection/safety-version"));
    assertEquals(before.size(), summary.get("bag/rescored"));
    List<RejectionBag.Entry> after = second.bag(2);
    assertEquals(
        before.size() + 20 - summary.get("without-winner"),
        after.size() + summary.get("bag/duplicates"));
    assertTrue(after.stream().anyMatch(entry -> entry.policyVersion() == 1), "nothing new");
    for (RejectionBag.Entry entry : after) {
      assertEquals(2, entry.scores().helpfulnessVersion());
    }
    try (CheckpointDirectory published =
        CheckpointDirectory.open(JobSettings.store(second.config()).directory("policy", 2))) {
      assertEquals(1L, published.manifest().orElseThrow().parent());
    }
  }

  @Test
  void aStudentLearnsFromTheBagAndTheSamplerStaysAsItIs() throws Exception {
    Run run = Run.of("teacher").withRewardModels(1);
    run.send(prompts(0, 20));
    run.run();
    Path student = smaller(Path.of(run.config().model().initial()), directory.resolve("small"));
    Run distilled =
        Run.of(
            "teacher",
            "model.initial=" + run.config().model().initial(),
            "rejection-sampling.bag=" + BagFile.of(run.config(), 1),
            "rejection-sampling.student=" + student,
            "rejection-sampling.student-name=small");
    // No prompt is new: the bag alone is learned from.
    Map<String, Double> summary = distilled.run();
    assertEquals(0, summary.get("prompts"));
    assertEquals(1, summary.get("version"));
    assertTrue(summary.get("updates") > 0, summary.toString());
    assertEquals(
        List.of("policy", "small"),
        distilled.announced().stream().map(PolicyCheckpoint::getModel).toList());
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
          new LlamaConfig(
              large.vocabSize(),
              8,
              1,
              2,
              1,
              4,
              16,
              large.maxPositions(),
              1e-5f,
              10_000,
              true,
              tokenizer.bos(),
              tokenizer.eos());
      try (Parameters weights = Parameters.random(backend, small.parameters(), 5)) {
        CheckpointDirectory.write(
            student,
            small,
            ModelWeights.sources(weights),
            tokenizer::save,
            CheckpointManifest.describing(
                CheckpointKind.POLICY, "small", 0, null, 0, 0, Map.of(), Map.of()));
      }
    }
    return student;
  }

  @Test
  void aStudentWithAnotherTokenizerIsRefusedByName() throws Exception {
    Run run = Run.of("strange");
    Run other = Run.of("stranger", "model.vocab-size=600");
    String student = other.config().model().initial();
    MillraceConfig config =
        Run.of(
                "strange",
                "rejection-sampling.student=" + student,
                "rejection-sampling.student-name=small")
            .config();
    String message =
        assertThrows(
                IllegalArgumentException.class, () -> Job.REJECTION_SAMPLING.graph(config, true))
            .getMessage();
    assertTrue(message.contains(student), message);
    assertTrue(message.contains(run.config().model().initial()), message);
  }

  @Test
  void aFileThatIsNoBagIsRefusedWithItsLine() throws Exception {
    Path file = Files.writeString(directory.resolve("no-bag.jsonl"), "{\"messages\": []}\n");
    MillraceConfig config = Run.of("no-bag", "rejection-sampling.bag=" + file).config();
    String message =
        assertThrows(UncheckedIOException.class, () -> Job.REJECTION_SAMPLING.graph(config, true))
            .getMessage();
    assertTrue(message.contains(file + ":1"), message);
  }

  @Test
  void anotherModelsBagIsRefusedWithTheEntryThatDoesNotFit() throws Exception {
    Path file = directory.resolve("strange-bag.jsonl");
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
                new RejectionBag.Scores(0, 0, 1, 1))));
    MillraceConfig config = Run.of("strange-bag", "rejection-sampling.bag=" + file).config();
    String message =
        assertThrows(
                IllegalArgumentException.class, () -> Job.REJECTION_SAMPLING.graph(config, true))
            .getMessage();
    assertTrue(message.contains("prompt p1 has 3 tokens up to id 99999"), message);
  }

  @Test
  void promptsThatNoRewardModelWillEverScoreAreToldOf() throws Exception {
    Run run = Run.of("unscored");
    run.send(prompts(0, 3));
    Throwable failure = assertThrows(Exception.class, run::run);
    while (failure.getCause() != null) {
      failure = failure.getCause();
    }
    assertTrue(
        failure.getMessage().contains("3 prompts cannot be scored: no helpfulness and no safety"),
        failure.toString());
  }
}
