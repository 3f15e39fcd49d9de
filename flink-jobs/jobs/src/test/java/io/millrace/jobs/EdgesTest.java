package io.millrace.jobs;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.runtime.BackgroundOperator;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.runtime.OperatorIDPair;
import org.apache.flink.runtime.jobgraph.JobVertex;
import org.apache.flink.runtime.jobgraph.OperatorID;
import org.apache.flink.streaming.api.graph.StreamEdge;
import org.apache.flink.streaming.api.graph.StreamGraph;
import org.apache.flink.streaming.api.graph.StreamNode;
import org.apache.flink.streaming.api.operators.SimpleOperatorFactory;
import org.apache.flink.streaming.runtime.partitioner.ForwardPartitioner;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The jobs' graphs: barriers overtake what waits for an operator that learns or samples. */
class EdgesTest {

  /** The operators that let records wait, by name. */
  private static final Map<Job, Set<String>> LEARNING =
      Map.of(
          Job.SUPERVISED, Set.of("supervised trainer"),
          Job.REWARD_MODEL,
              Set.of("reward-model-helpfulness trainer", "reward-model-safety trainer"),
          Job.ROLLOUT, Set.of("rollout"),
          Job.PPO, Set.of("score", "ppo updater"),
          Job.PREFERENCE, Set.of("preference trainer"),
          Job.REJECTION_SAMPLING, Set.of("candidates", "rejection sampling trainer"),
          Job.EVALUATION, Set.of("evaluator"));

  @TempDir private static Path directory;
  private static MillraceConfig initial;

  @BeforeAll
  static void makeModel() throws Exception {
    Files.writeString(
        directory.resolve("held-out.jsonl"),
        "{\"promptId\":\"p1\",\"dialogue\":[{\"role\":\"USER\",\"content\":\"Hi\"}]}\n");
    initial = InitialModel.ensure(config(1, "1d"));
  }

  private static MillraceConfig config(int parallelism, String window) throws Exception {
    return ConfigLoader.load(
        Optional.empty(),
        List.of(
            "checkpoints.directory=" + directory,
            "model.hidden-size=16",
            "model.layers=1",
            "model.ffn-size=24",
            "evaluation.prompts=" + directory.resolve("held-out.jsonl"),
            "evaluation.gate.max-perplexity-ratio=1e9",
            "evaluation.gate.safety-tolerance=1",
            "dedup.window=" + window,
            "flink.parallelism=" + parallelism));
  }

  private static StreamGraph graph(Job job, int parallelism, String window) throws Exception {
    return job.graph(config(parallelism, window).withInitial(initial.model().initial()), false);
  }

  /** Edges into the task that the operator is part of: those at the head of its chain. */
  private static List<StreamEdge> edgesIntoTask(StreamGraph graph, StreamNode node) {
    List<StreamEdge> edges = node.getInEdges();
    if (edges.size() == 1 && edges.get(0).getPartitioner() instanceof ForwardPartitioner) {
      return edgesIntoTask(graph, graph.getStreamNode(edges.get(0).getSourceId()));
    }
    return edges;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void aBarrierOvertakesWhatWaitsForAnOperatorThatLearns(int parallelism) throws Exception {
    for (String window : List.of("1d", "0s")) {
      Map<Job, Set<String>> found = new HashMap<>();
      for (Job job : Job.values()) {
        StreamGraph graph = graph(job, parallelism, window);
        found.put(job, new TreeSet<>());
        for (StreamNode node : graph.getStreamNodes()) {
          if (LEARNING.get(job).contains(node.getOperatorName())) {
            found.get(job).add(node.getOperatorName());
            List<StreamEdge> edges = edgesIntoTask(graph, node);
            assertTrue(edges.size() > 0, node + " is chained to a source");
            edges.forEach(edge -> assertTrue(edge.supportsUnalignedCheckpoints(), edge.toString()));
          }
        }
      }
      assertEquals(LEARNING, found);
    }
  }

  /** An operator that keeps records of people and does not read withdrawals would keep them all. */
  @Test
  void everyOperatorThatKeepsRecordsReadsWithdrawals() throws Exception {
    Set<String> reading = new TreeSet<>();
    for (Job job : Job.values()) {
      for (StreamNode node : graph(job, 1, "1d").getStreamNodes()) {
        if (node.getOperatorFactory() instanceof SimpleOperatorFactory<?> factory
            && factory.getOperator() instanceof BackgroundOperator<?> operator
            && operator.readsWithdrawals()) {
          reading.add(node.getOperatorName());
        }
      }
    }
    Set<String> keeping = new TreeSet<>();
    LEARNING.values().forEach(keeping::addAll);
    keeping.remove("evaluator"); // It has its prompts from files.
    assertEquals(keeping, reading);
  }

  /** A task that holds an operator of one subtask for ever takes all operators in it along. */
  @Test
  void aSavepointGoesOnAtAnotherParallelism() throws Exception {
    for (Job job : Job.values()) {
      Map<OperatorID, Integer> most = new HashMap<>();
      for (JobVertex task : graph(job, 1, "1d").getJobGraph().getVertices()) {
        for (OperatorIDPair operator : task.getOperatorIDs()) {
          most.put(operator.getGeneratedOperatorID(), task.getMaxParallelism());
        }
      }
      for (JobVertex task : graph(job, 2, "1d").getJobGraph().getVertices()) {
        for (OperatorIDPair operator : task.getOperatorIDs()) {
          int limit = most.getOrDefault(operator.getGeneratedOperatorID(), -1);
          assertTrue(
              limit < 0 || task.getParallelism() <= limit,
              () -> "%s of %s: at most %d".formatted(task, job, limit));
        }
      }
    }
  }

  @Test
  void flinkCheckpointsAreUnalignedFromTheBeginning() throws Exception {
    var configuration = graph(Job.PPO, 1, "1d").getJobConfiguration();
    assertTrue(configuration.get(CheckpointingOptions.ENABLE_UNALIGNED));
    assertEquals(Duration.ZERO, configuration.get(CheckpointingOptions.ALIGNED_CHECKPOINT_TIMEOUT));
  }
}
