package io.millrace.jobs;

import io.millrace.jobs.config.MillraceConfig;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.graph.StreamGraph;

/** The jobs by name. */
public enum Job {
  SUPERVISED(SupervisedJob::build),
  REWARD_MODEL(RewardModelJob::build),
  ROLLOUT(RolloutJob::build),
  PPO(PpoJob::build),
  REJECTION_SAMPLING(RejectionSamplingJob::build),
  EVALUATION(EvaluationJob::build);

  private interface Topology {
    void build(StreamExecutionEnvironment env, MillraceConfig config, boolean bounded);
  }

  private final Topology topology;

  Job(Topology topology) {
    this.topology = topology;
  }

  /** As it is written on the command line. */
  public String id() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  public static Optional<Job> named(String id) {
    return Arrays.stream(values()).filter(job -> job.id().equals(id)).findFirst();
  }

  public static String ids() {
    return Arrays.stream(values()).map(Job::id).collect(Collectors.joining(", "));
  }

  /** The job's graph, ready to be submitted; its name is that of the job's consumer group. */
  public StreamGraph graph(MillraceConfig config, boolean bounded) {
    StreamExecutionEnvironment env =
        StreamExecutionEnvironment.getExecutionEnvironment(JobSettings.flink(config.flink()));
    env.setParallelism(config.flink().parallelism());
    topology.build(env, config.withoutFlinkProperties(), bounded);
    StreamGraph graph = env.getStreamGraph();
    graph.setJobName(config.kafka().topicPrefix() + id());
    return graph;
  }
}
