package io.millrace.tests.cluster;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.Job;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Reward;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.world.Annotators;
import io.millrace.world.DemoWorld;
import java.nio.file.Path;
import java.time.Instant;
import java.time.InstantSource;
import java.util.HashSet;
import java.util.List;
import java.util.stream.LongStream;
import org.apache.avro.specific.SpecificRecordBase;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Savepoints of real processes, gone on from at another parallelism. */
@Tag("slow")
class RescaleTest {

  private static final long SEED = 1;
  private static final int SAMPLES = 2;
  private static final int PROMPTS = 32;
  private static final int ROLLOUTS = PROMPTS * SAMPLES;
  private static final int BATCH = 16;

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
          // So that some rollouts always wait for their batch where the savepoint is taken.
          "ppo.score-batch-size=7",
          "ppo.max-staleness=1000000",
          // The rollouts were sampled by another deployment's versions.
          "ppo.require-consistent=false",
          "supervised.batch-size=2",
          "supervised.sequence-length=128");

  private final InstantSource clock = InstantSource.fixed(Instant.parse("2026-01-01T00:00:00Z"));

  @Test
  void rolloutAndScoringGoOnWithMoreSubtasksAndWithFewer(@TempDir Path directory) throws Exception {
    ClusterUnderTest cluster = ClusterUnderTest.start(directory.resolve("cluster"), 2);
    try {
      Deployment deployment = new Deployment(cluster, directory, "scaled", SETTINGS);
      DemoWorld world = new DemoWorld(SEED, clock);
      Annotators annotators = new Annotators(world, SEED, clock);
      for (Objective objective : Objective.values()) {
        List<Judgment> judgments = annotators.archive(objective, 20);
        deployment.send(Topic.JUDGMENTS, judgments);
      }
      deployment.submit(Job.REWARD_MODEL, "--bounded");
      deployment.send(Topic.DEMONSTRATIONS, world.demonstrations(40));
      deployment.submit(Job.SUPERVISED, "--bounded");
      List<PolicyCheckpoint> supervised = deployment.read(Topic.POLICY_CHECKPOINTS);
      long sampling = supervised.getLast().getVersion();

      List<Prompt> prompts = world.prompts(0, PROMPTS);
      rescaled(deployment, Job.ROLLOUT, Topic.PROMPTS, prompts);
      List<Rollout> rollouts = deployment.read(Topic.ROLLOUTS);
      assertEquals(ROLLOUTS, rollouts.size());
      assertEquals(
          ROLLOUTS, new HashSet<>(rollouts.stream().map(Rollout::getRolloutId).toList()).size());
      HashSet<String> last =
          new HashSet<>(
              prompts.subList(PROMPTS / 3, PROMPTS).stream().map(Prompt::getPromptId).toList());
      for (Rollout rollout : rollouts) {
        if (last.contains(rollout.getPromptId())) {
          assertEquals(sampling, rollout.getPolicyVersion(), rollout.getRolloutId());
        }
      }

      Deployment training = new Deployment(cluster, directory, "trained", SETTINGS);
      training.send(Topic.REWARD_CHECKPOINTS, deployment.read(Topic.REWARD_CHECKPOINTS));
      rescaled(training, Job.PPO, Topic.ROLLOUTS, rollouts);
      List<String> learned =
          training.read(Topic.REWARDS).stream().map(Reward::getRolloutId).toList();
      assertEquals(ROLLOUTS, learned.size());
      assertEquals(ROLLOUTS, new HashSet<>(learned).size(), "rollouts learned from twice");
      List<PolicyCheckpoint> policies = training.read(Topic.POLICY_CHECKPOINTS);
      assertEquals(
          LongStream.rangeClosed(1, ROLLOUTS / BATCH).boxed().toList(),
          policies.stream().map(PolicyCheckpoint::getVersion).toList());
      assertEquals(ROLLOUTS, policies.getLast().getRollouts());
    } finally {
      cluster.stop();
    }
  }

  /** A third with one subtask, a third with two, and the last with one again. */
  private static <T extends SpecificRecordBase> void rescaled(
      Deployment deployment, Job job, Topic<T> topic, List<T> records) throws Exception {
    int third = records.size() / 3;
    deployment.submit(job);
    deployment.send(topic, records.subList(0, third));
    deployment.awaitConsumed(job, topic, third);
    String one = deployment.stop(job);
    assertTrue(one.contains("savepoint"), one);
    deployment.submit(job, "--from-savepoint", one, "--set", "flink.parallelism=2");
    deployment.send(topic, records.subList(third, 2 * third));
    deployment.awaitConsumed(job, topic, 2L * third);
    String two = deployment.stop(job);
    deployment.submit(job, "--from-savepoint", two);
    deployment.send(topic, records.subList(2 * third, records.size()));
    deployment.awaitConsumed(job, topic, records.size());
    deployment.drain(job);
  }
}
