package io.millrace.tests.cluster;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.millrace.jobs.Job;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.world.DemoWorld;
import java.nio.file.Path;
import java.time.Instant;
import java.time.InstantSource;
import java.util.HashSet;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A job on a cluster, stopped in every way that there is while prompts are in flight: each prompt
 * is answered once.
 */
@Tag("slow")
class ClusterStopsTest {

  private static final int PROMPTS = 3_000;
  private static final int STOPS = 5;
  private static final int PART = PROMPTS / (STOPS + 1);

  private static final List<String> SETTINGS =
      List.of(
          "flink.checkpoint-interval=300ms",
          "model.hidden-size=16",
          "model.layers=1",
          "model.ffn-size=32",
          "rollout.max-tokens=48",
          "rollout.max-prompt-tokens=120");

  @TempDir private Path directory;
  private ClusterUnderTest cluster;
  private Deployment deployment;
  private int sent;

  @Test
  void everyPromptIsAnsweredOnceOverFiveStops() throws Exception {
    Path home = directory.resolve("cluster");
    cluster = ClusterUnderTest.start(home, 2);
    try {
      deployment = new Deployment(cluster, directory, "stops", SETTINGS);
      deployment.submit(Job.ROLLOUT);

      feed();
      System.out.println("stop: " + deployment.stop(Job.ROLLOUT));
      deployment.submit(Job.ROLLOUT);

      feed();
      cluster.kill(cluster.taskManagerOf(deployment.jobName(Job.ROLLOUT)));

      feed();
      cluster.run("cancel", deployment.jobName(Job.ROLLOUT));
      deployment.submit(Job.ROLLOUT);

      feed();
      cluster.stop();
      cluster = ClusterUnderTest.start(home, 2);
      deployment = deployment.on(cluster, directory);

      feed();
      cluster.killSupervisor();
      cluster = ClusterUnderTest.start(home, 2);
      deployment = deployment.on(cluster, directory);

      feed();
      ClusterUnderTest.await("the last response", () -> answered().size() >= PROMPTS);
      cluster.run("stop", deployment.jobName(Job.ROLLOUT));
      List<String> answered = answered();
      assertEquals(PROMPTS, sent);
      assertEquals(PROMPTS, new HashSet<>(answered).size(), "prompts without response");
      assertEquals(PROMPTS, answered.size(), "responses");
    } finally {
      cluster.stop();
    }
  }

  /** Sends a part, and returns when its first responses are there and most are in flight. */
  private void feed() throws Exception {
    int before = sent;
    List<Prompt> prompts =
        new DemoWorld(1, InstantSource.fixed(Instant.parse("2026-01-01T00:00:00Z")))
            .prompts(0, PROMPTS);
    deployment.send(Topic.PROMPTS, prompts.subList(before, before + PART));
    sent += PART;
    ClusterUnderTest.await((before + 1) + " responses", () -> answered().size() > before);
    System.out.printf("%d of %d prompts answered%n", answered().size(), sent);
  }

  private List<String> answered() throws Exception {
    return deployment.read(Topic.ROLLOUTS).stream().map(Rollout::getPromptId).toList();
  }
}
