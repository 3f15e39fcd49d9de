package io.millrace.jobs.ppo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.Job;
import io.millrace.jobs.config.ConfigException;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.testkit.Deployment;
import io.millrace.jobs.testkit.FailOnce;
import io.millrace.jobs.testkit.JobHarness;
import io.millrace.jobs.testkit.OperatorHarness;
import io.millrace.jobs.testkit.TestModels;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.chat.Message;
import io.millrace.model.chat.Role;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Reward;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import io.millrace.schemas.Turn;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.MemorySize;
import org.apache.flink.configuration.RestOptions;
import org.apache.flink.configuration.TaskManagerOptions;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.runtime.execution.ExecutionState;
import org.apache.flink.runtime.executiongraph.AccessExecutionVertex;
import org.apache.flink.runtime.jobgraph.SavepointRestoreSettings;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.runtime.minicluster.MiniClusterConfiguration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;

/** The job {@code ppo} with several updaters, on Flink in this process. */
@Timeout(240)
@SuppressWarnings("try") // MiniCluster may throw InterruptedException from close().
class UpdatersTest {

  private static final int BATCH = 16;
  private static final int ITERATIONS = 6;
  private static final int ROLLOUTS = ITERATIONS * BATCH;
  private static final Duration PATIENCE = Duration.ofSeconds(90);

  private static final List<String> SETTINGS =
      List.of(
          "ppo.batch-size=" + BATCH,
          "ppo.mini-batch-size=8",
          "ppo.score-batch-size=8",
          "ppo.epochs=2",
          "ppo.learning-rate=1e-3",
          "ppo.critic-learning-rate=1e-3",
          "ppo.max-staleness=1000000",
          "ppo.require-consistent=false",
          "ppo.rollout-log-probs=trust");

  @RegisterExtension
  static final JobHarness HARNESS =
      new JobHarness(
          8, Stream.concat(OperatorHarness.TINY_MODEL.stream(), SETTINGS.stream()).toList());

  private static List<Rollout> rollouts(MillraceConfig config) {
    SplittableRandom random = new SplittableRandom(3);
    List<Rollout> rollouts = new ArrayList<>();
    try (Tokenizer tokenizer = Tokenizer.load(Path.of(config.model().initial()))) {
      ChatTemplate template = ChatTemplate.of(tokenizer);
      for (int i = 0; i < ROLLOUTS; i++) {
        String question = "Hi " + i;
        String answer = "yes ".repeat(random.nextInt(1, 4)) + random.nextInt(100);
        int[] prompt = template.promptTokens(List.of(new Message(Role.USER, question)));
        int[] response = template.responseTokens(answer);
        rollouts.add(
            Rollout.newBuilder()
                .setRolloutId("p" + i + "/0")
                .setPromptId("p" + i)
                .setDialogue(List.of(new Turn(io.millrace.schemas.Role.USER, question)))
                .setPromptTokens(Arrays.stream(prompt).boxed().toList())
                .setResponseTokens(Arrays.stream(response).boxed().toList())
                .setLogProbs(Arrays.stream(response).mapToObj(_ -> -5.5f).toList())
                .setResponseText(answer)
                .setFinishReason(FinishReason.STOP)
                .setModel("policy")
                .setPolicyVersion(0)
                .setTemperature(1)
                .build());
      }
    }
    return rollouts;
  }

  /** A deployment with everything that the job reads. */
  private static Deployment fed(String name, int rollouts) throws Exception {
    Deployment deployment = HARNESS.deploy(name);
    MillraceConfig config = deployment.config();
    deployment.send(
        Topic.REWARD_CHECKPOINTS,
        TestModels.rewardModels(Path.of(config.model().initial()), deployment.checkpoints()));
    deployment.send(Topic.ROLLOUTS, rollouts(config).subList(0, rollouts));
    return deployment;
  }

  private static Map<Long, String> learned(String name, String... settings) throws Exception {
    Deployment deployment = fed(name, ROLLOUTS);
    var _ = deployment.run(Job.PPO.graph(deployment.config(settings), true));
    return announced(deployment);
  }

  /** All versions; each rollout was learned from once. */
  private static Map<Long, String> announced(Deployment deployment) throws Exception {
    List<String> learned =
        deployment.read(Topic.REWARDS).stream().map(Reward::getRolloutId).toList();
    assertEquals(ROLLOUTS, learned.size());
    assertEquals(ROLLOUTS, new HashSet<>(learned).size());
    Map<Long, String> versions = deployment.announced();
    assertEquals(ITERATIONS, versions.size());
    return versions;
  }

  private static float[] weights(Deployment deployment) throws Exception {
    PolicyCheckpoint last = deployment.read(Topic.POLICY_CHECKPOINTS).getLast();
    assertEquals(ITERATIONS, last.getVersion());
    try (Backend backend = Backends.openDefault();
        CheckpointDirectory checkpoint =
            CheckpointDirectory.open(Path.of(URI.create(last.getUri())));
        LanguageModel model = ModelWeights.languageModel(backend, checkpoint)) {
      return model.weights().flat().toFloats();
    }
  }

  @Test
  void twoUpdatersEndWhereOneEndsWithinRoundingAndReportTheirExchanges() throws Exception {
    Deployment one = fed("one", ROLLOUTS);
    var _ = one.run(Job.PPO.graph(one.config(), true));
    Deployment two = fed("two", ROLLOUTS);
    var _ = two.run(Job.PPO.graph(two.config("ppo.updaters=2"), true));
    Map<Long, String> versions = announced(two);
    assertNotEquals(announced(one), versions);
    float[] expected = weights(one);
    float[] actual = weights(two);
    for (int i = 0; i < expected.length; i++) {
      assertEquals(expected[i], actual[i], 1e-4 * (1 + Math.abs(expected[i])), "weight " + i);
    }
    List<TrainingMetrics> metrics = two.read(Topic.TRAINING_METRICS);
    assertEquals(ITERATIONS, metrics.size());
    for (TrainingMetrics iteration : metrics) {
      double share = iteration.getMetrics().get("updaters/exchange_share");
      assertTrue(share > 0 && share <= 1, "share " + share);
      assertTrue(iteration.getMetrics().get("updaters/exchanged_bytes") > 0);
    }
    assertTrue(
        one.read(Topic.TRAINING_METRICS).stream()
            .noneMatch(iteration -> iteration.getMetrics().containsKey("updaters/exchange_share")));

    // With sharded moments, with a failure of the job, and in other places: the same bits.
    assertEquals(versions, learned("two-sharded", "ppo.updaters=2", "ppo.shard-optimizer=true"));
    Deployment failing = fed("two-failing", ROLLOUTS);
    var _ =
        failing.run(
            Job.PPO.graph(
                failing.config("ppo.updaters=2", "ppo.shard-optimizer=true"),
                true,
                new FailOnce("ppo-updater", 3 * BATCH + 5)));
    assertEquals(versions, announced(failing));
    assertEquals(versions, killed("two-killed"));
  }

  private static MiniCluster cluster(int taskManagers) throws Exception {
    Configuration flink = new Configuration();
    flink.set(RestOptions.BIND_PORT, "0");
    flink.set(TaskManagerOptions.MANAGED_MEMORY_SIZE, MemorySize.ofMebiBytes(4));
    flink.set(TaskManagerOptions.NETWORK_MEMORY_MIN, MemorySize.ofMebiBytes(32));
    flink.set(TaskManagerOptions.NETWORK_MEMORY_MAX, MemorySize.ofMebiBytes(32));
    MiniCluster cluster =
        new MiniCluster(
            new MiniClusterConfiguration.Builder()
                .setConfiguration(flink)
                .setNumTaskManagers(taskManagers)
                .setNumSlotsPerTaskManager(1)
                .build());
    cluster.start();
    return cluster;
  }

  private interface Condition {
    boolean holds() throws Exception;
  }

  private static void await(String what, Condition condition) throws Exception {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (!condition.holds()) {
      assertTrue(System.nanoTime() < deadline, "waited in vain for " + what);
    }
  }

  /** The hosts, by name of the task, once all tasks run. */
  private static Map<String, String> places(MiniCluster cluster, JobID job) throws Exception {
    Map<String, String> places = new TreeMap<>();
    await(
        "all tasks to run",
        () -> {
          places.clear();
          if (cluster.getJobStatus(job).get() != JobStatus.RUNNING) {
            return false;
          }
          for (AccessExecutionVertex task :
              cluster.getExecutionGraph(job).get().getAllExecutionVertices()) {
            if (task.getExecutionState() != ExecutionState.RUNNING) {
              return false;
            }
            places.put(
                task.getTaskNameWithSubtaskIndex(),
                task.getCurrentAssignedResourceLocation().getResourceID().toString());
          }
          return true;
        });
    return places;
  }

  /** Each updater in a TaskManager of its own. Each of these is lost, one after the other. */
  private static Map<Long, String> killed(String name) throws Exception {
    Deployment deployment = fed(name, ROLLOUTS / 3);
    List<Rollout> rollouts = rollouts(deployment.config());
    MillraceConfig config = deployment.config("ppo.updaters=2", "ppo.shard-optimizer=true");
    try (MiniCluster cluster = cluster(2)) {
      JobID job = cluster.submitJob(Job.PPO.graph(config, false).getJobGraph()).get().getJobID();
      for (int part = 1; part <= 3; part++) {
        Map<String, String> places = places(cluster, job);
        Set<String> updaters = new HashSet<>();
        places.forEach(
            (task, host) -> {
              if (task.contains("ppo updater")) {
                updaters.add(host);
              }
            });
        assertEquals(2, updaters.size(), places.toString());
        int fed = part * ROLLOUTS / 3;
        await("learning", () -> deployment.read(Topic.REWARDS).size() >= fed - BATCH);
        if (part < 3) {
          cluster.startTaskManager();
          // In the order of their start: one of the two that the job runs on.
          cluster.terminateTaskManager(part - 1).get();
          deployment.send(Topic.ROLLOUTS, rollouts.subList(fed, fed + ROLLOUTS / 3));
        }
      }
      await("all versions", () -> deployment.announced().size() == ITERATIONS);
      for (AccessExecutionVertex task :
          cluster.getExecutionGraph(job).get().getAllExecutionVertices()) {
        assertTrue(
            task.getCurrentExecutionAttempt().getAttemptNumber() >= 2,
            task.getTaskNameWithSubtaskIndex() + " was not restarted with the others");
      }
      cluster.cancelJob(job).get();
    }
    return announced(deployment);
  }

  /** A savepoint of one updater, gone on from with three that share the moments, then with one. */
  @Test
  void aStateGoesOnWithAnotherNumberOfUpdaters() throws Exception {
    Deployment deployment = fed("rescaled", ROLLOUTS / 3);
    List<Rollout> rollouts = rollouts(deployment.config());
    String savepoints = HARNESS.directory().resolve("savepoints").toUri().toString();
    String[][] settings = {{}, {"ppo.updaters=3", "ppo.shard-optimizer=true"}, {}};
    String savepoint = null;
    for (int part = 1; part <= 3; part++) {
      var graph = Job.PPO.graph(deployment.config(settings[part - 1]), false);
      JobID job =
          savepoint == null
              ? HARNESS.cluster().submit(graph)
              : HARNESS.cluster().submit(graph, SavepointRestoreSettings.forPath(savepoint));
      int fed = part * ROLLOUTS / 3;
      await(
          "learning",
          () -> {
            HARNESS.cluster().requireAlive(job);
            return deployment.read(Topic.REWARDS).size() >= fed;
          });
      savepoint = HARNESS.cluster().stop(job, savepoints, PATIENCE);
      if (part < 3) {
        deployment.send(Topic.ROLLOUTS, rollouts.subList(fed, fed + ROLLOUTS / 3));
      }
    }
    Map<Long, String> versions = announced(deployment);
    assertEquals(ITERATIONS, versions.size());
  }

  /** Nothing to learn from: the others end with the first one, at once and without a failure. */
  @Test
  void updatersWithoutRolloutsEnd() throws Exception {
    Deployment bounded = fed("nothing", 0);
    var result = bounded.run(Job.PPO.graph(bounded.config("ppo.updaters=3"), true));
    assertEquals(0, Deployment.summary(result, "ppo").get("restarts"));
    Deployment stopped = fed("stopped", 0);
    String savepoints = HARNESS.directory().resolve("savepoints").toUri().toString();
    try (MiniCluster cluster = cluster(2)) {
      JobID job =
          cluster
              .submitJob(Job.PPO.graph(stopped.config("ppo.updaters=2"), false).getJobGraph())
              .get()
              .getJobID();
      assertEquals(2, new HashSet<>(places(cluster, job).values()).size());
      String savepoint =
          cluster
              .stopWithSavepoint(job, savepoints, false, SavepointFormatType.CANONICAL)
              .get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
      assertTrue(savepoint.contains("savepoint"), savepoint);
      assertEquals(
          JobStatus.FINISHED, cluster.requestJobResult(job).get().getJobStatus().orElseThrow());
    }
  }

  @Test
  void whatCannotWorkIsRefusedWithTheWayToMendIt() throws Exception {
    Deployment deployment = HARNESS.deploy("refused");
    for (String[] bad :
        new String[][] {
          {"ppo.updaters=9", "mini-batch-size 8, not 9"},
          {"ppo.shard-optimizer=true", "updaters to at least 2"},
          {"ppo.updaters=0", "ppo.updaters"},
          {"ppo.updaters=65", "ppo.updaters"},
          {"ppo.updater-timeout=0s", "ppo.updater-timeout"},
        }) {
      String message =
          assertThrows(ConfigException.class, () -> deployment.config(bad[0])).getMessage();
      assertTrue(message.contains(bad[1]), message);
    }
  }
}
