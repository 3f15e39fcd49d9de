package io.millrace.tests.cluster;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.jobs.Job;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Reward;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.tests.cluster.Deployment.Published;
import io.millrace.world.Annotators;
import io.millrace.world.DemoWorld;
import java.nio.file.Path;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Two updaters in a process each, which is killed three times: the published versions are those of
 * an undisturbed run, bit for bit, and within rounding those of one updater.
 */
@Tag("slow")
class UpdatersRecoveryTest {

  private static final long SEED = Long.getLong("millrace.recovery.seed", 1);
  private static final int ITERATIONS = Integer.getInteger("millrace.recovery.iterations", 8);
  private static final int MOMENT_MILLIS =
      Integer.getInteger("millrace.recovery.moment-millis", 1_000);
  private static final int BATCH = 32;
  private static final int SAMPLES = 2;
  private static final int ROLLOUTS = ITERATIONS * BATCH;
  private static final String[] TWO = {
    "--set", "ppo.updaters=2", "--set", "ppo.shard-optimizer=true"
  };

  /** Whose TaskManager is killed. */
  private enum Victim implements Predicate<String> {
    FIRST_UPDATER,
    SECOND_UPDATER;

    @Override
    public boolean test(String vertex) {
      return vertex.startsWith("ppo updater")
          && vertex.startsWith("ppo updater ranks") == (this == SECOND_UPDATER);
    }
  }

  private static final List<Victim> VICTIMS =
      List.of(Victim.SECOND_UPDATER, Victim.FIRST_UPDATER, Victim.SECOND_UPDATER);

  private static final List<String> SETTINGS =
      List.of(
          "flink.checkpoint-interval=500ms",
          "model.max-positions=128",
          "reward-model.batch-size=20",
          "reward-model.max-tokens=128",
          "rollout.samples-per-prompt=" + SAMPLES,
          "rollout.max-tokens=24",
          "rollout.max-prompt-tokens=96",
          "ppo.batch-size=" + BATCH,
          "ppo.mini-batch-size=16",
          "ppo.score-batch-size=16",
          "ppo.learning-rate=1e-4",
          "ppo.critic-learning-rate=1e-4",
          // The rollouts are recorded: all are the initial policy's.
          "ppo.max-staleness=1000000");

  private final InstantSource clock = InstantSource.fixed(Instant.parse("2026-01-01T00:00:00Z"));
  private final Random random = new Random(SEED);

  @Test
  void killedUpdatersEndInTheBitsOfUndisturbedOnes(@TempDir Path directory) throws Exception {
    System.out.printf("seed %d, victims %s%n", SEED, VICTIMS);
    ClusterUnderTest cluster =
        ClusterUnderTest.start(directory.resolve("cluster"), 2, "--slots", "1");
    try {
      Deployment recorded = new Deployment(cluster, directory, "recorded", SETTINGS);
      Annotators annotators = new Annotators(new DemoWorld(SEED, clock), SEED, clock);
      for (Objective objective : Objective.values()) {
        List<Judgment> judgments = annotators.archive(objective, 20);
        recorded.send(Topic.JUDGMENTS, judgments);
      }
      recorded.submit(Job.REWARD_MODEL, "--bounded");
      List<Prompt> prompts = new DemoWorld(SEED, clock).prompts(0, ROLLOUTS / SAMPLES);
      recorded.send(Topic.PROMPTS, prompts);
      recorded.submit(Job.ROLLOUT, "--bounded");
      List<RewardCheckpoint> rewardModels = recorded.read(Topic.REWARD_CHECKPOINTS);
      List<Rollout> rollouts = recorded.read(Topic.ROLLOUTS);
      assertEquals(ROLLOUTS, rollouts.size());

      Deployment one = learned(cluster, directory, "one", rewardModels, rollouts, List.of());
      Deployment two = learned(cluster, directory, "two", rewardModels, rollouts, List.of(), TWO);
      Deployment killed =
          learned(cluster, directory, "killed", rewardModels, rollouts, VICTIMS, TWO);

      List<String> expected = versions(two);
      assertEquals(ITERATIONS, expected.size());
      assertEquals(expected, versions(killed));
      assertNotEquals(versions(one), expected);
      assertClose(weights(one), weights(two));
      List<String> learned = killed.read(Topic.REWARDS).stream().map(Reward::getRolloutId).toList();
      assertEquals(ROLLOUTS, learned.size());
      assertEquals(ROLLOUTS, new HashSet<>(learned).size(), "rollouts learned from twice");
      System.out.println("rollouts " + ROLLOUTS + ", versions " + expected);
    } finally {
      cluster.stop();
    }
  }

  /** Feeds the job in parts; after each but the last the TaskManager of a task is killed. */
  private Deployment learned(
      ClusterUnderTest cluster,
      Path directory,
      String name,
      List<RewardCheckpoint> rewardModels,
      List<Rollout> rollouts,
      List<Victim> victims,
      String... settings)
      throws Exception {
    Deployment deployment = new Deployment(cluster, directory, name, SETTINGS);
    deployment.send(Topic.REWARD_CHECKPOINTS, rewardModels);
    deployment.submit(Job.PPO, settings);
    String job = deployment.jobName(Job.PPO);
    int part = rollouts.size() / (victims.size() + 1);
    for (int i = 0; i < victims.size(); i++) {
      deployment.awaitConsumed(Job.PPO, Topic.ROLLOUTS, (long) i * part);
      String process = cluster.taskManagerOf(job, victims.get(i));
      assertNotEquals(
          cluster.taskManagerOf(job, Victim.FIRST_UPDATER),
          cluster.taskManagerOf(job, Victim.SECOND_UPDATER),
          "both updaters are in one process");
      deployment.send(Topic.ROLLOUTS, rollouts.subList(i * part, (i + 1) * part));
      // Not a wait for anything: a random moment is what is wanted.
      TimeUnit.MILLISECONDS.sleep(random.nextInt(MOMENT_MILLIS));
      long consumed = deployment.consumed(Job.PPO, Topic.ROLLOUTS);
      cluster.kill(process);
      System.out.printf(
          "%s: killed %s of %s when a Flink checkpoint covered %d of %d%n",
          job, process, victims.get(i), consumed, (i + 1) * part);
    }
    deployment.send(Topic.ROLLOUTS, rollouts.subList(victims.size() * part, rollouts.size()));
    deployment.awaitConsumed(Job.PPO, Topic.ROLLOUTS, rollouts.size());
    deployment.drain(Job.PPO);
    return deployment;
  }

  private static List<String> versions(Deployment deployment) throws Exception {
    List<Published> published = new ArrayList<>();
    for (PolicyCheckpoint announced : deployment.read(Topic.POLICY_CHECKPOINTS)) {
      published.add(
          new Published(announced.getVersion(), announced.getUri(), announced.getManifestSha256()));
    }
    return Deployment.verified(Map.of("policy", published)).get("policy");
  }

  private static float[] weights(Deployment deployment) throws Exception {
    String uri = deployment.read(Topic.POLICY_CHECKPOINTS).getLast().getUri();
    try (Backend backend = Backends.openDefault();
        CheckpointDirectory checkpoint = CheckpointDirectory.open(CheckpointStore.resolve(uri));
        LanguageModel model = ModelWeights.languageModel(backend, checkpoint)) {
      return model.weights().flat().toFloats();
    }
  }

  private static void assertClose(float[] expected, float[] actual) {
    assertEquals(expected.length, actual.length);
    for (int i = 0; i < expected.length; i++) {
      assertTrue(
          Math.abs(expected[i] - actual[i]) < 1e-4 * (1 + Math.abs(expected[i])),
          "weight " + i + ": " + expected[i] + " and " + actual[i]);
    }
  }
}
