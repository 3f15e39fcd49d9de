package io.millrace.tests.cluster;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.Job;
import io.millrace.schemas.Demonstration;
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
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.apache.avro.specific.SpecificRecordBase;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/**
 * Real processes, killed at random moments: what is learned is what an undisturbed run learns, bit
 * for bit. The sizes and the victims are system properties, for longer runs by hand.
 */
@Tag("slow")
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ClusterRecoveryTest {

  private static final long SEED = Long.getLong("millrace.recovery.seed", 1);
  private static final int JUDGMENTS = Integer.getInteger("millrace.recovery.judgments", 600);
  private static final int DEMONSTRATIONS =
      Integer.getInteger("millrace.recovery.demonstrations", 400);
  private static final int PROMPTS = Integer.getInteger("millrace.recovery.prompts", 120);
  private static final int ITERATIONS = Integer.getInteger("millrace.recovery.iterations", 8);

  /** In the order in which they are killed; "worker" is the TaskManager that runs the job. */
  private static final List<String> VICTIMS =
      Arrays.asList(
          System.getProperty("millrace.recovery.victims", "worker,kafka,jobmanager").split(","));

  private static final int ROLLOUT_BATCH = 32;
  private static final int SAMPLES = 2;

  /** A process is killed this long after the job was fed, at most. */
  private static final int MOMENT_MILLIS =
      Integer.getInteger("millrace.recovery.moment-millis", 1_000);

  private static final List<String> SETTINGS =
      List.of(
          "flink.checkpoint-interval=500ms",
          "model.max-positions=128",
          "reward-model.batch-size=20",
          "reward-model.learning-rate=1e-3",
          "reward-model.max-tokens=128",
          "reward-model.publish-every=60",
          "rollout.samples-per-prompt=" + SAMPLES,
          "rollout.max-tokens=24",
          "rollout.max-prompt-tokens=96",
          "ppo.batch-size=" + ROLLOUT_BATCH,
          "ppo.mini-batch-size=16",
          "ppo.score-batch-size=16",
          "ppo.learning-rate=1e-4",
          "ppo.critic-learning-rate=1e-4",
          "supervised.batch-size=2",
          "supervised.sequence-length=128",
          "supervised.learning-rate=1e-3",
          "supervised.publish-every=80",
          "rejection-sampling.samples-per-prompt=6",
          "rejection-sampling.prompts-per-version=25",
          "rejection-sampling.batch-size=1",
          "rejection-sampling.sequence-length=128",
          "rejection-sampling.learning-rate=1e-3",
          // The rollouts are recorded: all are the initial policy's.
          "ppo.max-staleness=1000000");

  private final InstantSource clock = InstantSource.fixed(Instant.parse("2026-01-01T00:00:00Z"));
  private final Random random = new Random(SEED);

  private Path directory;
  private ClusterUnderTest cluster;

  @BeforeAll
  void start(@TempDir Path temporary) throws Exception {
    directory = temporary;
    System.out.printf("seed %d, victims %s%n", SEED, VICTIMS);
    cluster = ClusterUnderTest.start(directory.resolve("cluster"), 2);
  }

  @AfterAll
  void stop() throws Exception {
    if (cluster != null) {
      cluster.stop();
    }
  }

  @Test
  void rewardModelsLearnFromEveryJudgmentOnce() throws Exception {
    List<Judgment> judgments = judgments(JUDGMENTS);
    Deployment undisturbed = new Deployment(cluster, directory, "judged", SETTINGS);
    learn(undisturbed, Job.REWARD_MODEL, Topic.JUDGMENTS, judgments, List.of());
    Deployment disturbed = new Deployment(cluster, directory, "judged-and-killed", SETTINGS);
    learn(disturbed, Job.REWARD_MODEL, Topic.JUDGMENTS, judgments, VICTIMS);

    Map<String, List<String>> expected = Deployment.verified(rewardModels(undisturbed));
    assertEquals(Objective.values().length, expected.size());
    for (List<String> versions : expected.values()) {
      assertTrue(versions.size() > 2, "versions " + versions);
      assertTrue(
          versions.getLast().contains("judgments=" + JUDGMENTS / 2),
          "consumed " + versions.getLast());
    }
    assertEquals(expected, Deployment.verified(rewardModels(disturbed)));
    System.out.println("judgments " + JUDGMENTS + ", versions " + expected);
  }

  @Test
  void ppoLearnsFromEveryRolloutOnce() throws Exception {
    Deployment recorded = new Deployment(cluster, directory, "recorded", SETTINGS);
    recorded.send(Topic.JUDGMENTS, judgments(40));
    recorded.submit(Job.REWARD_MODEL, "--bounded");
    int rolloutCount = ITERATIONS * ROLLOUT_BATCH;
    List<Prompt> prompts = new DemoWorld(SEED, clock).prompts(0, rolloutCount / SAMPLES);
    recorded.send(Topic.PROMPTS, prompts);
    recorded.submit(Job.ROLLOUT, "--bounded");
    List<RewardCheckpoint> rewardModels = recorded.read(Topic.REWARD_CHECKPOINTS);
    List<Rollout> rollouts = recorded.read(Topic.ROLLOUTS);
    assertEquals(rolloutCount, rollouts.size());

    Deployment undisturbed = new Deployment(cluster, directory, "trained", SETTINGS);
    undisturbed.send(Topic.REWARD_CHECKPOINTS, rewardModels);
    learn(undisturbed, Job.PPO, Topic.ROLLOUTS, rollouts, List.of());
    Deployment disturbed = new Deployment(cluster, directory, "trained-and-killed", SETTINGS);
    disturbed.send(Topic.REWARD_CHECKPOINTS, rewardModels);
    learn(disturbed, Job.PPO, Topic.ROLLOUTS, rollouts, VICTIMS);

    Map<String, List<String>> expected = Deployment.verified(policies(undisturbed));
    assertEquals(ITERATIONS, expected.get("policy").size());
    assertTrue(expected.get("policy").getLast().contains("rollouts=" + rolloutCount));
    assertEquals(expected, Deployment.verified(policies(disturbed)));
    List<String> learned =
        disturbed.read(Topic.REWARDS).stream().map(Reward::getRolloutId).toList();
    assertEquals(rolloutCount, learned.size());
    assertEquals(rolloutCount, new HashSet<>(learned).size(), "rollouts learned from twice");
    System.out.println("rollouts " + rolloutCount + ", versions " + expected);
  }

  @Test
  void supervisedLearnsFromEveryDemonstrationOnce() throws Exception {
    List<Demonstration> demonstrations = new DemoWorld(SEED, clock).demonstrations(DEMONSTRATIONS);
    Deployment undisturbed = new Deployment(cluster, directory, "shown", SETTINGS);
    learn(undisturbed, Job.SUPERVISED, Topic.DEMONSTRATIONS, demonstrations, List.of());
    Deployment disturbed = new Deployment(cluster, directory, "shown-and-killed", SETTINGS);
    learn(disturbed, Job.SUPERVISED, Topic.DEMONSTRATIONS, demonstrations, VICTIMS);

    Map<String, List<String>> expected = Deployment.verified(policies(undisturbed));
    List<String> versions = expected.get("policy");
    assertTrue(versions.size() > 3, "versions " + versions);
    assertTrue(versions.getLast().contains("demonstrations=" + DEMONSTRATIONS));
    assertEquals(expected, Deployment.verified(policies(disturbed)));
    System.out.println("demonstrations " + DEMONSTRATIONS + ", versions " + expected);
  }

  /** A student learns, so that the policy that samples is the same one throughout. */
  @Test
  void rejectionSamplingLearnsFromEveryPromptOnce() throws Exception {
    Deployment recorded = new Deployment(cluster, directory, "scored", SETTINGS);
    recorded.send(Topic.JUDGMENTS, judgments(40));
    recorded.submit(Job.REWARD_MODEL, "--bounded");
    List<RewardCheckpoint> rewardModels = recorded.read(Topic.REWARD_CHECKPOINTS);
    recorded.send(Topic.DEMONSTRATIONS, new DemoWorld(SEED, clock).demonstrations(300));
    recorded.submit(Job.SUPERVISED, "--bounded");
    String student = recorded.read(Topic.POLICY_CHECKPOINTS).getLast().getUri();
    List<String> settings = new ArrayList<>(SETTINGS);
    settings.add("model.initial=" + student);
    settings.add("rejection-sampling.student=" + student);
    settings.add("rejection-sampling.student-name=student");

    List<Prompt> prompts = new DemoWorld(SEED, clock).prompts(0, PROMPTS);
    Deployment undisturbed = new Deployment(cluster, directory, "chosen", settings);
    undisturbed.send(Topic.REWARD_CHECKPOINTS, rewardModels);
    learn(undisturbed, Job.REJECTION_SAMPLING, Topic.PROMPTS, prompts, List.of());
    Deployment disturbed = new Deployment(cluster, directory, "chosen-and-killed", settings);
    disturbed.send(Topic.REWARD_CHECKPOINTS, rewardModels);
    learn(disturbed, Job.REJECTION_SAMPLING, Topic.PROMPTS, prompts, VICTIMS);

    Map<String, List<String>> expected = Deployment.verified(policies(undisturbed));
    List<String> versions = expected.get("student");
    assertEquals((PROMPTS + 24) / 25, versions.size());
    assertTrue(versions.getLast().contains("prompts=" + PROMPTS), versions.getLast());
    assertEquals(expected, Deployment.verified(policies(disturbed)));
    System.out.println("prompts " + PROMPTS + ", versions " + expected);
  }

  /**
   * Feeds a job in as many parts as there are victims, and one. Each part is sent to a job that
   * runs and has taken what came before, and loses a process soon after: while it is read, learned
   * from, written to a Flink checkpoint, or published.
   */
  private <T extends SpecificRecordBase> void learn(
      Deployment deployment, Job job, Topic<T> topic, List<T> records, List<String> victims)
      throws Exception {
    deployment.submit(job);
    int part = records.size() / (victims.size() + 1);
    for (int i = 0; i < victims.size(); i++) {
      cluster.taskManagerOf(deployment.jobName(job));
      deployment.awaitConsumed(job, topic, (long) i * part);
      deployment.send(topic, records.subList(i * part, (i + 1) * part));
      kill(victims.get(i), deployment, job, topic, (i + 1) * part);
    }
    deployment.send(topic, records.subList(victims.size() * part, records.size()));
    deployment.awaitConsumed(job, topic, records.size());
    deployment.drain(job);
  }

  private void kill(String victim, Deployment deployment, Job job, Topic<?> topic, int fed)
      throws Exception {
    String process =
        victim.equals("worker") ? cluster.taskManagerOf(deployment.jobName(job)) : victim;
    // Not a wait for anything: a random moment is what is wanted.
    TimeUnit.MILLISECONDS.sleep(random.nextInt(MOMENT_MILLIS));
    long consumed = deployment.consumed(job, topic);
    cluster.kill(process);
    System.out.printf(
        "%s: killed %s when a Flink checkpoint covered %d of %d%n",
        deployment.jobName(job), process, consumed, fed);
    deployment.awaitKafka();
  }

  private List<Judgment> judgments(int count) {
    Annotators annotators = new Annotators(new DemoWorld(SEED, clock), SEED, clock);
    List<Judgment> helpfulness = annotators.archive(Objective.HELPFULNESS, count / 2);
    List<Judgment> safety = annotators.archive(Objective.SAFETY, count / 2);
    List<Judgment> mixed = new ArrayList<>();
    for (int i = 0; i < count / 2; i++) {
      mixed.add(helpfulness.get(i));
      mixed.add(safety.get(i));
    }
    assertFalse(mixed.isEmpty());
    return mixed;
  }

  private static Map<String, List<Published>> rewardModels(Deployment deployment) throws Exception {
    Map<String, List<Published>> byObjective = new TreeMap<>();
    for (RewardCheckpoint announced : deployment.read(Topic.REWARD_CHECKPOINTS)) {
      byObjective
          .computeIfAbsent(announced.getObjective().name(), _ -> new ArrayList<>())
          .add(
              new Published(
                  announced.getVersion(), announced.getUri(), announced.getManifestSha256()));
    }
    return byObjective;
  }

  private static Map<String, List<Published>> policies(Deployment deployment) throws Exception {
    Map<String, List<Published>> byModel = new TreeMap<>();
    for (PolicyCheckpoint announced : deployment.read(Topic.POLICY_CHECKPOINTS)) {
      byModel
          .computeIfAbsent(announced.getModel(), _ -> new ArrayList<>())
          .add(
              new Published(
                  announced.getVersion(), announced.getUri(), announced.getManifestSha256()));
    }
    return byModel;
  }
}
