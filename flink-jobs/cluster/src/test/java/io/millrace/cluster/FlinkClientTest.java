package io.millrace.cluster;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.flink.api.common.JobID;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.RestOptions;
import org.apache.flink.runtime.jobgraph.SavepointRestoreSettings;
import org.apache.flink.runtime.minicluster.MiniCluster;
import org.apache.flink.runtime.minicluster.MiniClusterConfiguration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.streaming.api.graph.StreamGraph;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;

@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class FlinkClientTest {

  private static final int ROUNDS = 5;
  private static final Duration PATIENCE = Duration.ofSeconds(60);

  private MiniCluster cluster;

  @BeforeAll
  void start() throws Exception {
    Configuration configuration = new Configuration();
    configuration.set(RestOptions.BIND_PORT, "0");
    cluster =
        new MiniCluster(
            new MiniClusterConfiguration.Builder()
                .setConfiguration(configuration)
                .setNumTaskManagers(1)
                .setNumSlotsPerTaskManager(2)
                .build());
    cluster.start();
  }

  @AfterAll
  void stop() throws Exception {
    cluster.close();
  }

  private FlinkClient client() throws Exception {
    URI rest = cluster.getRestAddress().get();
    return FlinkClient.at(URI.create("http://localhost:" + rest.getPort()));
  }

  /** A job that runs until it is cancelled. */
  private static StreamGraph endless(String name) {
    StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
    env.setParallelism(1);
    env.fromSequence(0, Long.MAX_VALUE).sinkTo(new DiscardingSink<>());
    StreamGraph graph = env.getStreamGraph();
    graph.setJobName(name);
    return graph;
  }

  /** The jobs of a name that are alive, once the cancelled one has ended. */
  private List<JobID> awaitOneAlive(String name) throws Exception {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    try (FlinkClient client = client()) {
      while (true) {
        List<JobID> alive =
            client.jobs().stream()
                .filter(job -> job.name().equals(name) && job.isAlive())
                .map(FlinkClient.Running::id)
                .toList();
        if (alive.size() < 2 || System.nanoTime() > deadline) {
          return alive;
        }
        Thread.sleep(20);
      }
    }
  }

  @Test
  void refusesASecondJobOfTheSameName() throws Exception {
    try (FlinkClient client = client()) {
      JobID first = client.submit(endless("twice"), SavepointRestoreSettings.none());
      try {
        client.submit(endless("twice"), SavepointRestoreSettings.none());
        throw new AssertionError("a second job was taken");
      } catch (IOException e) {
        assertTrue(e.getMessage().contains("stop it first: millrace stop twice"), e.getMessage());
      }
      cluster.cancelJob(first).get();
    }
  }

  @Test
  void ofTwoJobsSubmittedAtOnceOneStays() throws Exception {
    try (ExecutorService both = Executors.newFixedThreadPool(2)) {
      for (int round = 0; round < ROUNDS; round++) {
        String name = "at-once-" + round;
        CyclicBarrier together = new CyclicBarrier(2);
        Callable<JobID> submit =
            () -> {
              try (FlinkClient client = client()) {
                StreamGraph graph = endless(name);
                together.await();
                return client.submit(graph, SavepointRestoreSettings.none());
              } catch (IOException e) {
                assertTrue(e.getMessage().startsWith(name), e.getMessage());
                return null;
              }
            };
        List<JobID> taken = new ArrayList<>();
        for (Future<JobID> answer : both.invokeAll(List.of(submit, submit))) {
          if (answer.get() != null) {
            taken.add(answer.get());
          }
        }
        assertEquals(1, taken.size(), name + ": " + taken);
        assertEquals(taken, awaitOneAlive(name));
        cluster.cancelJob(taken.getFirst()).get();
      }
    }
  }
}
