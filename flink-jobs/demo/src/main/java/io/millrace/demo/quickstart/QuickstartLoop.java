package io.millrace.demo.quickstart;

import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.demo.InducedFailure;
import io.millrace.demo.loop.AnnotatorService;
import io.millrace.demo.loop.GoldEvaluator;
import io.millrace.demo.loop.MetricsFollower;
import io.millrace.demo.loop.Patience;
import io.millrace.demo.loop.Progress;
import io.millrace.demo.loop.PromptFeeder;
import io.millrace.demo.loop.Summaries;
import io.millrace.demo.quickstart.QuickstartReport.Counts;
import io.millrace.demo.quickstart.QuickstartReport.Iteration;
import io.millrace.demo.quickstart.QuickstartReport.Policies;
import io.millrace.jobs.Job;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.HeldOut;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.jobs.rewardmodel.RewardModelOperator;
import io.millrace.jobs.runtime.EdgeTap;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.runtime.LocalCluster;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Reward;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import io.millrace.world.Annotators;
import io.millrace.world.DemoWorld;
import io.millrace.world.Split;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.JobStatus;

/** The four stages of a quickstart, on a Kafka and a Flink cluster that run. */
final class QuickstartLoop {

  /** The longest time for which a stage may stand still. */
  private static final Duration STALL = Duration.ofMinutes(4);

  private static final List<String> REWARD_JOBS =
      List.of(
          RewardModelOperator.job(Objective.HELPFULNESS),
          RewardModelOperator.job(Objective.SAFETY));

  private final QuickstartSettings settings;
  private final Progress progress;
  private final LocalCluster cluster;
  private final KafkaSettings kafka;
  private final MetricsFollower metrics;
  private final RecordWriter writer;
  private final DemoWorld world;
  private final Annotators annotators;
  private final Patience patience = new Patience(STALL);

  QuickstartLoop(
      QuickstartSettings settings,
      Progress progress,
      LocalCluster cluster,
      KafkaSettings kafka,
      MetricsFollower metrics,
      RecordWriter writer) {
    this.settings = settings;
    this.progress = progress;
    this.cluster = cluster;
    this.kafka = kafka;
    this.metrics = metrics;
    this.writer = writer;
    InstantSource clock = InstantSource.system();
    this.world = new DemoWorld(settings.seed(), clock, settings.world());
    this.annotators = new Annotators(world, settings.seed(), clock);
  }

  /**
   * Runs the stages.
   *
   * @param blank the configuration without an initial model
   * @param start the beginning of the quickstart, as {@link System#nanoTime} returned it
   */
  QuickstartReport run(MillraceConfig blank, long start) throws Exception {
    // There is nothing to adapt in random weights: the first policy learns with all of them.
    Path first = supervised(blank.withoutAdapter());
    MillraceConfig config = blank.withInitial(first.toString());
    long archived = sendArchive();
    JobID rewardModels = rewardModels(config, archived);
    Ppo ppo = ppo(config, rewardModels);
    long judgments = archived + ppo.judgments();
    awaitJudgments(rewardModels, judgments);

    progress.stage("4/4 the jobs end, then their policies answer held-out prompts");
    Path savepoints = settings.directory().resolve("savepoints");
    Map<String, Double> sampled =
        Summaries.of(cluster.drain(ppo.sampling(), savepoints), "rollout");
    Map<String, Double> trained = Summaries.of(cluster.drain(ppo.learning(), savepoints), "ppo");
    Map<String, QuickstartReport.RewardModel> models =
        rewardModels(cluster.drain(rewardModels, savepoints));
    Path last = directory(config, count(trained, "version"));
    Map<String, SplitScores> splits = new LinkedHashMap<>();
    Policies policies = measure(config, Split.VALIDATION, first, last);
    splits.put(Split.VALIDATION.key(), SplitScores.of(policies.first(), policies.last()));
    for (Split split : world.splits()) {
      if (split != Split.VALIDATION) {
        Policies tested = measure(config, split, first, last);
        splits.put(split.key(), SplitScores.of(tested.first(), tested.last()));
      }
    }
    return new QuickstartReport(
        settings.seed(),
        (System.nanoTime() - start) / 1e9,
        policies,
        models,
        new Counts(ppo.prompts(), judgments, count(sampled, "rollouts")),
        new Counts(
            count(sampled, "prompts"),
            models.values().stream().mapToLong(QuickstartReport.RewardModel::judgments).sum(),
            count(trained, "rollouts")),
        new QuickstartReport.Ppo(
            count(trained, "iterations"),
            count(trained, "learned"),
            count(trained, "dropped/stale"),
            learnedTwice(),
            count(trained, "restarts")),
        metrics.history("ppo").stream().map(Iteration::of).toList(),
        first.toString(),
        last.toString(),
        QuickstartReport.World.of(settings.world(), annotators),
        splits);
  }

  /** The gold reward of the first and the last policy on the prompts of a split. */
  private Policies measure(MillraceConfig config, Split split, Path first, Path last)
      throws IOException {
    GoldEvaluator evaluator =
        new GoldEvaluator(world, split, settings.heldOut(), Quickstart.MAX_TOKENS, settings.seed());
    CheckpointCache checkpoints = JobSettings.cache(config);
    return new Policies(
        evaluator.measure(checkpoints, first, first), evaluator.measure(checkpoints, last, first));
  }

  private static long count(Map<String, Double> summary, String metric) {
    return summary.get(metric).longValue();
  }

  /** Trains the first policy, which imitates demonstrations; returns its directory. */
  private Path supervised(MillraceConfig blank) throws Exception {
    progress.stage(
        "1/4 supervised: %d demonstrations, %d passes"
            .formatted(settings.demonstrations(), Quickstart.EPOCHS));
    for (Demonstration demonstration : world.demonstrations(settings.demonstrations())) {
      writer.send(Topic.DEMONSTRATIONS, demonstration);
    }
    writer.flush();
    JobID job = cluster.submit(Job.SUPERVISED.graph(InitialModel.ensure(blank), true));
    while (cluster.status(job) != JobStatus.FINISHED) {
      cluster.requireAlive(job);
      metrics.poll();
      metrics.latest("supervised").ifPresent(progress::supervised);
    }
    Map<String, Double> summary = Summaries.of(cluster.await(job), "supervised");
    Path policy = directory(blank, count(summary, "version"));
    progress.stage("    policy version 1 in " + policy);
    return policy;
  }

  /** Sends judgments of responses that people wrote; returns their number. */
  private long sendArchive() throws IOException {
    List<Judgment> archive = new ArrayList<>();
    archive.addAll(annotators.archive(Objective.HELPFULNESS, settings.archive()));
    archive.addAll(annotators.archive(Objective.SAFETY, settings.archive() / 2));
    for (Judgment judgment : archive) {
      writer.send(Topic.JUDGMENTS, judgment);
    }
    writer.flush();
    return archive.size();
  }

  /** Starts the job of the reward models and waits until it has learned from the archive. */
  private JobID rewardModels(MillraceConfig config, long archived) throws Exception {
    progress.stage("2/4 reward models: %d judgments of the archive".formatted(archived));
    JobID job = cluster.submit(Job.REWARD_MODEL.graph(config, false));
    awaitJudgments(job, archived);
    return job;
  }

  private void awaitJudgments(JobID rewardModels, long judgments) throws Exception {
    patience.await(
        () -> {
          cluster.requireAlive(rewardModels);
          metrics.poll();
          progress.rewardModels(accuracies());
          return metrics.sumOf("judgments", REWARD_JOBS);
        },
        judgments,
        "judgments learned from");
  }

  /** The two jobs of PPO, and the counts of prompts and judgments that were sent to them. */
  private record Ppo(JobID sampling, JobID learning, long prompts, long judgments) {}

  /** Runs PPO to the last iteration, and waits for the judgments of its rollouts. */
  private Ppo ppo(MillraceConfig config, JobID rewardModels) throws Exception {
    progress.stage(
        "3/4 PPO: %d iterations of %d rollouts, which annotators judge"
            .formatted(settings.iterations(), Quickstart.BATCH));
    JobID sampling = cluster.submit(Job.ROLLOUT.graph(config, false));
    JobID learning = cluster.submit(Job.PPO.graph(config, false, tap()));
    long rollouts = (long) settings.iterations() * Quickstart.BATCH;
    try (AnnotatorService service = new AnnotatorService(kafka, annotators)) {
      service.start();
      PromptFeeder feeder =
          new PromptFeeder(
              world,
              writer,
              new HeldOut(config.section(PpoSection.class).heldOutShare()),
              0,
              Quickstart.BATCH / Quickstart.SAMPLES_PER_PROMPT,
              rollouts / Quickstart.SAMPLES_PER_PROMPT,
              0);
      InducedFailureNotice failure = new InducedFailureNotice(settings.failAtRollout(), progress);
      patience.await(
          () -> {
            cluster.requireAlive(rewardModels, sampling, learning);
            failure.see(cluster.status(learning));
            metrics.poll();
            long iterations = metrics.latest("ppo").map(TrainingMetrics::getStep).orElse(0L);
            feeder.feedUpTo(iterations + 1 + settings.versionsBehind());
            metrics.latest("ppo").ifPresent(newest -> progress.ppo(newest, accuracies()));
            return iterations;
          },
          settings.iterations(),
          "PPO iterations");
      long sampled = feeder.sent() * Quickstart.SAMPLES_PER_PROMPT;
      patience.await(service::rolloutsSeen, sampled, "rollouts judged");
      return new Ppo(sampling, learning, feeder.sent(), service.judgmentsMade());
    }
  }

  private EdgeTap tap() {
    return settings.failAtRollout() == 0
        ? EdgeTap.NONE
        : new InducedFailure(settings.failAtRollout());
  }

  private static Map<String, QuickstartReport.RewardModel> rewardModels(JobExecutionResult result) {
    Map<String, QuickstartReport.RewardModel> models = new HashMap<>();
    for (Objective objective : Objective.values()) {
      Map<String, Double> summary = Summaries.of(result, RewardModelOperator.job(objective));
      models.put(
          objective.name().toLowerCase(Locale.ROOT),
          new QuickstartReport.RewardModel(
              count(summary, "version"),
              count(summary, "judgments"),
              Summaries.section(summary, "accuracy/")));
    }
    return models;
  }

  private Map<Objective, Double> accuracies() {
    Map<Objective, Double> accuracies = new HashMap<>();
    for (Objective objective : Objective.values()) {
      metrics
          .latest(RewardModelOperator.job(objective))
          .map(newest -> newest.getMetrics().get("accuracy/all"))
          .ifPresent(accuracy -> accuracies.put(objective, accuracy));
    }
    return accuracies;
  }

  /** Counts the records of the topic rewards whose rollout had a record before: it should be 0. */
  private long learnedTwice() throws IOException {
    Set<String> seen = new HashSet<>();
    long[] twice = new long[1];
    try (RecordReader<Reward> rewards = RecordReader.fromEarliest(kafka, Topic.REWARDS)) {
      rewards.readToEnd(
          entry -> {
            if (!seen.add(entry.record().orElseThrow().getRolloutId())) {
              twice[0]++;
            }
          });
    }
    return twice[0];
  }

  private static Path directory(MillraceConfig config, long version) throws IOException {
    return JobSettings.store(config).directory(config.model().name(), version);
  }
}
