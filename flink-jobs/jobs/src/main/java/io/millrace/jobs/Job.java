package io.millrace.jobs;

import io.millrace.jobs.config.ConfigSection;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.evaluation.EvaluationJob;
import io.millrace.jobs.ppo.PpoJob;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.jobs.preference.PreferenceJob;
import io.millrace.jobs.rejection.RejectionSamplingJob;
import io.millrace.jobs.rewardmodel.RewardModelJob;
import io.millrace.jobs.rollout.RolloutJob;
import io.millrace.jobs.runtime.EdgeTap;
import io.millrace.jobs.runtime.JobContext;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.supervised.SupervisedJob;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.graph.StreamGraph;

/** The jobs by name. */
public enum Job {
  SUPERVISED(SupervisedJob::build, SupervisedJob.SECTIONS),
  REWARD_MODEL(RewardModelJob::build, RewardModelJob.SECTIONS),
  ROLLOUT(RolloutJob::build, RolloutJob.SECTIONS, List.of(PpoSection.class)),
  PPO(PpoJob::build, PpoJob.SECTIONS),
  PREFERENCE(PreferenceJob::build, PreferenceJob.SECTIONS),
  REJECTION_SAMPLING(RejectionSamplingJob::build, RejectionSamplingJob.SECTIONS),
  EVALUATION(EvaluationJob::build, EvaluationJob.SECTIONS);

  private interface Topology {
    void build(JobContext context);
  }

  private final Topology topology;
  private final List<Class<? extends ConfigSection>> sections;

  /** Sections that the job uses where they are there, and does without where they are not. */
  private final List<Class<? extends ConfigSection>> optional;

  Job(Topology topology, List<Class<? extends ConfigSection>> sections) {
    this(topology, sections, List.of());
  }

  Job(
      Topology topology,
      List<Class<? extends ConfigSection>> sections,
      List<Class<? extends ConfigSection>> optional) {
    this.topology = topology;
    this.sections = sections;
    this.optional = optional;
  }

  /** The name on the command line. */
  public String id() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  public static Optional<Job> named(String id) {
    return Arrays.stream(values()).filter(job -> job.id().equals(id)).findFirst();
  }

  public static String ids() {
    return Arrays.stream(values()).map(Job::id).collect(Collectors.joining(", "));
  }

  /** Types of the configuration sections that the job reads, beside the shared ones. */
  public List<Class<? extends ConfigSection>> sections() {
    return sections;
  }

  /** The job's graph, ready to be submitted; its name is that of the job's consumer group. */
  public StreamGraph graph(MillraceConfig config, boolean bounded) {
    return graph(config, bounded, EdgeTap.NONE);
  }

  /**
   * The job's graph with operators of the caller's on its edges.
   *
   * @param bounded whether the job stops at the end of its topics
   */
  public StreamGraph graph(MillraceConfig config, boolean bounded, EdgeTap tap) {
    StreamExecutionEnvironment env =
        StreamExecutionEnvironment.getExecutionEnvironment(
            JobSettings.flink(config.flink())
                .set(PipelineOptions.GLOBAL_JOB_PARAMETERS, JobSettings.parameters(config, id())));
    env.setParallelism(config.flink().parallelism());
    List<Class<? extends ConfigSection>> used = new ArrayList<>(sections);
    used.addAll(optional);
    topology.build(
        new JobContext(env, id(), config.withoutFlinkProperties().only(used), bounded, tap));
    StreamGraph graph = env.getStreamGraph();
    graph.setJobName(config.kafka().topicPrefix() + id());
    return graph;
  }
}
