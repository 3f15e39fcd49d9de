package io.millrace.jobs.rejection;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.models.RewardModelPair;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.testkit.OperatorRun;
import io.millrace.jobs.testkit.OperatorStates;
import io.millrace.jobs.testkit.TestModels;
import io.millrace.model.chat.Message;
import io.millrace.model.rejection.RejectionBag;
import io.millrace.schemas.Objective;
import io.millrace.schemas.WithdrawnBy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.apache.avro.generic.GenericRecord;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The trainer in Flink's harness, on a tiny model; the deadline is for a thread that hangs. */
@Timeout(120)
@SuppressWarnings("try") // Flink's harness may throw InterruptedException from close().
class RejectionSamplingOperatorTest {

  private static final long SEED = 12;
  private static final int SAMPLES = 3;
  private static final int PER_VERSION = 10;

  /** Written once, when its format was new; a later format gets a file of its own. */
  private static final Path GOLDEN =
      Path.of("src/test/resources/golden-state/rejection-sampling.bin");

  /** How many prompts went into the golden state. */
  private static final int GOLDEN_PROMPTS = 25;

  @TempDir private static Path directory;
  private static EmbeddedBroker broker;

  /** Directories by objective and version. */
  private static final Map<String, String> REWARD_MODELS = new HashMap<>();

  @BeforeAll
  static void start() throws Exception {
    broker = EmbeddedBroker.start(directory.resolve("kafka"), 0);
    MillraceConfig config = config("start");
    try (TopicAdmin admin = new TopicAdmin(JobSettings.kafka(config))) {
      admin.createAll(1, 1);
    }
    Path initial = Path.of(config.model().initial());
    for (Objective objective : Objective.values()) {
      for (long version = 1; version <= 2; version++) {
        Path at = directory.resolve(objective + "-" + version);
        TestModels.rewardModel(initial, at, version, 10 * version + objective.ordinal());
        REWARD_MODELS.put(objective + "-" + version, at.toString());
      }
    }
  }

  @AfterAll
  static void stop() throws Exception {
    broker.close();
  }

  /** A configuration with a checkpoint store of its own. */
  private static MillraceConfig config(String store, String... settings) throws Exception {
    List<String> all =
        new ArrayList<>(
            List.of(
                "kafka.bootstrap-servers=" + broker.bootstrapServers(),
                "checkpoints.directory=" + directory.resolve(store),
                "model.seed=" + SEED,
                "rejection-sampling.samples-per-prompt=" + SAMPLES,
                "rejection-sampling.temperatures=1",
                "rejection-sampling.prompts-per-version=" + PER_VERSION,
                "rejection-sampling.bag-capacity=12",
                "rejection-sampling.start-from=initial",
                "rejection-sampling.batch-size=1",
                "rejection-sampling.sequence-length=32",
                "rejection-sampling.learning-rate=1e-3"));
    all.addAll(OperatorRun.TINY_MODEL);
    all.addAll(List.of(settings));
    return InitialModel.ensure(ConfigLoader.load(Optional.empty(), all));
  }

  /** Candidates as if sampled; from the 16th on other reward models have scored them. */
  private static List<Candidates> candidates(int count) {
    SplittableRandom random = new SplittableRandom(SEED);
    List<Candidates> all = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      boolean isSafety = i % 3 == 0;
      int[] prompt = random.ints(1 + random.nextInt(9), 0, 256).toArray();
      double[] rewards = random.doubles(SAMPLES, -2, 2).toArray();
      long version = i < 16 ? 1 : 2;
      RejectionBag.Entry winner =
          i % 7 == 6
              ? null
              : new RejectionBag.Entry(
                  "p" + i,
                  List.of(Message.user("prompt " + i)),
                  isSafety,
                  prompt,
                  random.ints(1 + random.nextInt(12), 0, 256).toArray(),
                  "response " + i,
                  0,
                  1,
                  new RejectionBag.Scores(
                      (float) random.nextDouble(-2, 2),
                      (float) random.nextDouble(-2, 2),
                      version,
                      version),
                  i % 2 == 0 ? "even" : "odd",
                  i);
      all.add(
          new Candidates(
              "p" + i,
              isSafety,
              rewards,
              null,
              i % 2,
              0,
              winner,
              new SamplingModels(
                  new ModelRef(0, "not opened, as fine-tuning starts from model.initial", ""),
                  new RewardModelPair(
                      rewardModel(Objective.HELPFULNESS, version),
                      rewardModel(Objective.SAFETY, version))),
              null));
    }
    return all;
  }

  private static ModelRef rewardModel(Objective objective, long version) {
    return new ModelRef(version, REWARD_MODELS.get(objective + "-" + version), "");
  }

  private static final class Run extends OperatorRun<Candidates> {
    private final MillraceConfig config;

    Run(MillraceConfig config, OperatorSubtaskState state) throws Exception {
      super(() -> new RejectionSamplingOperator(config), state);
      this.config = config;
    }

    /** A Flink checkpoint that is taken while a policy learns; there is time for many. */
    OperatorSubtaskState whileLearning() throws Exception {
      while (true) {
        OperatorSubtaskState state = snapshot();
        GenericRecord first = OperatorStates.firstRecord(OperatorStates.bytes(state));
        if (first.get("phase").toString().equals("LEARNING")) {
          return state;
        }
      }
    }

    /** The figures of each step of a job, by the last life that came to it. */
    TreeMap<Long, Map<String, Double>> figures(String job) {
      TreeMap<Long, Map<String, Double>> figures = new TreeMap<>();
      metrics.stream()
          .filter(metric -> metric.getJob().equals(job))
          .forEach(metric -> figures.put(metric.getStep(), metric.getMetrics()));
      return figures;
    }

    double figure(String name) {
      return summary("rejection-sampling").get(name);
    }

    List<RejectionBag.Entry> bag(long version) throws Exception {
      return BagFile.read(BagFile.of(config, version));
    }
  }

  @Test
  void anAdapterThatDiesAndResumesEndsInTheSameBits() throws Exception {
    List<Candidates> all = candidates(2 * PER_VERSION);
    String[] settings = {
      "rejection-sampling.epochs=4",
      "model.initial=" + config("adapter-base").model().initial(),
      "model.adapter.rank=3"
    };
    try (Run straight = new Run(config("straight-adapter", settings), null);
        Run killed = new Run(config("killed-adapter", settings), null)) {
      straight.feed(all).end();
      killed.feed(all.subList(0, PER_VERSION));
      killed.dieAfter(killed.whileLearning(), all.subList(PER_VERSION, PER_VERSION + 3));
      killed.feed(all.subList(PER_VERSION, all.size())).end();
      assertEquals(List.of(1L, 2L), List.copyOf(straight.published.keySet()));
      assertEquals(straight.published, killed.published);
      assertEquals(straight.lineage, killed.lineage);
    }
  }

  @Test
  void aRunThatDiesAndResumesEndsInTheSameBits() throws Exception {
    List<Candidates> all = candidates(3 * PER_VERSION + 4);
    String epochs = "rejection-sampling.epochs=40";
    try (Run straight = new Run(config("straight", epochs), null);
        Run killed = new Run(config("killed", epochs), null)) {
      straight.feed(all).end();
      int from = 0;
      for (int to : new int[] {3, PER_VERSION, 16, 2 * PER_VERSION, 26}) {
        killed.feed(all.subList(from, to));
        List<Candidates> lost = all.subList(to, to + 4);
        if (to % PER_VERSION == 0) {
          killed.dieAfter(killed.whileLearning(), lost);
        } else {
          killed.dieAfter(lost);
        }
        from = to;
      }
      killed.feed(all.subList(from, all.size())).end();
      assertEquals(List.of(1L, 2L, 3L, 4L), List.copyOf(straight.published.keySet()));
      List<String> sampled =
          all.subList(0, PER_VERSION).stream().map(Candidates::promptId).toList();
      assertFalse(straight.learnedBy(1).isEmpty());
      assertTrue(sampled.containsAll(straight.learnedBy(1)), straight.learnedBy(1).toString());
      assertEquals(
          List.of(all.get(2 * PER_VERSION - 1).models().rewardModels().helpfulness().version()),
          straight.lineage.get("policy/2/0").getHelpfulnessVersions(),
          "the bag was scored anew");
      assertEquals(straight.published, killed.published);
      assertEquals(straight.lineage, killed.lineage);
      for (String job : List.of("rejection-sampling", "rejection-sampling-update")) {
        assertEquals(straight.figures(job), killed.figures(job));
      }
      assertEquals(
          Files.readString(BagFile.of(straight.config, 4)),
          Files.readString(BagFile.of(killed.config, 4)));
      assertEquals(all.size(), killed.figure("prompts"));
      assertEquals(4, killed.figure("without-winner"));
    }
  }

  @Test
  void theBagIsBoundedAndScoredByTheLatestRewardModels() throws Exception {
    List<Candidates> all = candidates(2 * PER_VERSION);
    try (Run run = new Run(config("rescored"), null)) {
      run.feed(all).end();
      Map<String, Double> second = run.figures("rejection-sampling").get(2L);
      assertEquals(2, second.get("rejection/helpfulness-version"));
      // What came after the change is scored by them already, and so is not what did not win.
      long stale = all.stream().limit(16).filter(Candidates::hasWinner).count();
      assertEquals(stale, second.get("bag/rescored"));
      assertEquals(12, second.get("bag/entries"));
      assertEquals(
          all.stream().filter(Candidates::hasWinner).count() - 12, second.get("bag/evicted"));
      List<RejectionBag.Entry> bag = run.bag(2);
      assertEquals(12, bag.size());
      for (RejectionBag.Entry entry : bag) {
        assertEquals(2, entry.scores().helpfulnessVersion());
        assertEquals(2, entry.scores().safetyVersion());
      }
      assertTrue(second.get("bag/selected") >= 6 && second.get("bag/selected") <= 7);
    }
  }

  @Test
  void scoresStayWhereTheyShallStay() throws Exception {
    try (Run run = new Run(config("kept", "rejection-sampling.rescore=false"), null)) {
      run.feed(candidates(2 * PER_VERSION)).end();
      assertEquals(0, run.figure("bag/rescored"));
      assertTrue(run.bag(2).stream().anyMatch(entry -> entry.scores().helpfulnessVersion() == 1));
    }
  }

  @Test
  void promptsWithoutAWinnerMakeNoVersion() throws Exception {
    List<Candidates> lost = candidates(7).subList(6, 7);
    try (Run run = new Run(config("lost"), null)) {
      run.feed(lost).end();
      assertEquals(Map.of(), run.published);
      assertEquals(1, run.figure("without-winner"));
      assertEquals(0, run.figure("versions"));
      assertEquals(
          Arrays.stream(lost.getFirst().rewards()).max().orElseThrow(),
          run.figure("rejection/all/max/k=" + SAMPLES));
    }
  }

  @Test
  void whatIsTooLongToLearnIsCounted() throws Exception {
    try (Run run = new Run(config("long", "rejection-sampling.sequence-length=12"), null)) {
      List<Candidates> all = candidates(PER_VERSION);
      run.feed(all).end();
      assertTrue(run.figure("bag/too-long") > 0);
      assertEquals(run.figure("bag/selected"), run.figure("examples") + run.figure("bag/too-long"));
    }
  }

  @Test
  void whereAllIsTooLongNothingIsPublished() throws Exception {
    try (Run run = new Run(config("all-long", "rejection-sampling.sequence-length=2"), null)) {
      run.feed(candidates(PER_VERSION)).end();
      assertEquals(Map.of(), run.published);
      assertEquals(run.figure("bag/selected"), run.figure("bag/too-long"));
    }
  }

  /** Everything there can be in a state: an inbox, a bag, figures, a fine-tuning under way. */
  private static OperatorSubtaskState someState() throws Exception {
    try (Run run = new Run(config("golden-writer"), null)) {
      run.feed(candidates(GOLDEN_PROMPTS));
      return run.whileLearning();
    }
  }

  /**
   * Recorded state stays readable: Avro resolves the schema that it was written with. Run with
   * {@code -Dmillrace.write-docs=true} to record it if the file is missing; an existing file is
   * never written again.
   */
  @Test
  void readsRecordedState() throws Exception {
    if (Boolean.getBoolean("millrace.write-docs") && !Files.exists(GOLDEN)) {
      Files.write(GOLDEN, OperatorStates.bytes(someState()));
    }
    byte[] golden = Files.readAllBytes(GOLDEN);
    // The reward models of the state are no more.
    String[] settings = {"rejection-sampling.rescore=false"};
    try (Run run = new Run(config("golden", settings), OperatorStates.of(golden))) {
      run.end();
      assertEquals(GOLDEN_PROMPTS, run.figure("prompts"));
      assertEquals(3, run.figure("version"));
      assertEquals(3, run.figure("versions"));
    }
  }

  @Test
  void readsAllThatItWrites() throws Exception {
    byte[] state = OperatorStates.bytes(someState());
    RejectionSamplingOperator operator = new RejectionSamplingOperator(config("again"));
    new OneInputStreamOperatorTestHarness<>(operator, 1, 1, 0).setup();
    assertArrayEquals(state, OperatorStates.readAndWritten(operator, state));
  }

  @Test
  void withdrawnResponsesLeaveTheBag() throws Exception {
    List<Candidates> all = candidates(PER_VERSION);
    try (Run run = new Run(config("withdrawn"), null)) {
      run.feed(all.subList(0, 5));
      run.awaitState(state -> (long) state.get("prompts") == 5);
      assertTrue(run.stateText().contains("response 2"));
      run.withdraw(WithdrawnBy.ID, "p2");
      run.withdraw(WithdrawnBy.SOURCE, "odd");
      String state = run.stateText();
      for (int i = 0; i < 5; i++) {
        assertEquals(i == 0 || i == 4, state.contains("response " + i), "response " + i);
      }
      run.feed(all.subList(5, all.size())).feed(candidates(PER_VERSION + 3)).end();
      List<RejectionBag.Entry> bag = run.bag(run.published.lastKey());
      assertTrue(bag.stream().allMatch(entry -> entry.source().equals("even")));
      assertTrue(bag.stream().noneMatch(entry -> entry.promptId().equals("p2")));
      assertTrue(bag.size() > 2);
    }
  }

  @Test
  void aVersionThatLearnsFromAWithdrawnResponseBeginsAnew() throws Exception {
    List<Candidates> all = candidates(PER_VERSION);
    try (Run run = new Run(config("anew", "rejection-sampling.epochs=100"), null)) {
      run.feed(all);
      var _ = run.whileLearning();
      assertTrue(sources(run.state()).contains("odd"));
      run.withdraw(WithdrawnBy.SOURCE, "odd");
      List<String> left = sources(run.state());
      assertFalse(left.contains("odd"));
      run.end();
      assertEquals(List.of(1L), List.copyOf(run.published.keySet()));
      assertTrue(run.bag(1).stream().allMatch(entry -> entry.source().equals("even")));
      assertEquals(left.size(), run.figures("rejection-sampling").get(1L).get("bag/entries"));
    }
  }

  /** It goes on where the withdrawn response is none that it learns from. */
  @Test
  void aVersionThatDoesNotLearnFromAWithdrawnResponseGoesOn() throws Exception {
    List<Candidates> all = candidates(PER_VERSION);
    String[] settings = {"rejection-sampling.epochs=100", "rejection-sampling.top-share=0.5"};
    try (Run run = new Run(config("on", settings), null)) {
      run.feed(all);
      var _ = run.whileLearning();
      List<RejectionBag.Entry> winners =
          all.stream().filter(Candidates::hasWinner).map(Candidates::winner).toList();
      RejectionBag bag =
          new RejectionBag(
              new RejectionBag.Settings(
                  12, 0.5, false, run.config.section(PpoSection.class).piecewiseReward()));
      winners.forEach(bag::add);
      List<RejectionBag.Entry> selected = bag.select();
      // Three of five ordinary prompts are as many as three of six.
      String other =
          winners.stream()
              .filter(entry -> !entry.isSafety() && !selected.contains(entry))
              .findFirst()
              .orElseThrow()
              .promptId();
      run.withdraw(WithdrawnBy.ID, other);
      assertFalse(run.stateText().contains("response " + other.substring(1)));
      run.end();
      double updates = run.figures("rejection-sampling").get(1L).get("updates");
      assertEquals(updates, run.figures("rejection-sampling-update").size(), "no update twice");
      assertTrue(run.bag(1).stream().noneMatch(entry -> entry.promptId().equals(other)));
    }
  }

  /** Of the bag's entries. */
  private static List<String> sources(GenericRecord state) {
    return ((List<?>) ((GenericRecord) state.get("bag")).get("entries"))
        .stream().map(entry -> ((GenericRecord) entry).get("source").toString()).toList();
  }
}
