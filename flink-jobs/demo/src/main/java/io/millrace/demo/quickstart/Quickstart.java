package io.millrace.demo.quickstart;

import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.demo.InducedFailure;
import io.millrace.demo.loop.AnnotatorService;
import io.millrace.demo.loop.GoldEvaluator;
import io.millrace.demo.loop.Measured;
import io.millrace.demo.loop.MetricsFollower;
import io.millrace.demo.loop.Patience;
import io.millrace.demo.loop.Progress;
import io.millrace.demo.loop.PromptFeeder;
import io.millrace.demo.loop.Summaries;
import io.millrace.demo.quickstart.QuickstartReport.Counts;
import io.millrace.jobs.Job;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
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
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.JobStatus;

/**
 * The whole loop in one process: a broker, a Flink cluster with every job, applications that send
 * prompts, and annotators who judge what the current policy samples.
 */
public final class Quickstart {

  private static final int BATCH = 64;
  private static final int SAMPLES_PER_PROMPT = 2;
  private static final int MAX_TOKENS = 40;
  private static final int SUPERVISED_BATCH = 10;

  /** Training sequences of 128 tokens hold three demonstrations of this world. */
  private static final int DEMONSTRATIONS_PER_SEQUENCE = 3;

  private static final int EPOCHS = 3;

  /** A stage that stands still for this long has failed. */
  private static final Duration STALL = Duration.ofMinutes(4);

  private static final int SLOTS = 24;

  private final QuickstartSettings settings;
  private final Progress progress;
  private final DemoWorld world;
  private final Patience patience = new Patience(STALL);
  private final InstantSource clock = InstantSource.system();

  public Quickstart(QuickstartSettings settings, Progress progress) {
    this.settings = settings;
    this.progress = progress;
    this.world = new DemoWorld(settings.seed(), clock);
  }

  /** What is done with the report while Kafka is still up. */
  public interface Aftermath {
    void accept(QuickstartReport report, String bootstrapServers)
        throws IOException, InterruptedException;
  }

  /** Runs it all, hands over the report, and stops Kafka and Flink when that returns. */
  public void run(Aftermath aftermath) throws Exception {
    long start = System.nanoTime();
    Files.createDirectories(settings.directory());
    try (EmbeddedBroker broker = EmbeddedBroker.start(settings.directory().resolve("kafka"), 0);
        LocalCluster cluster = LocalCluster.start(SLOTS)) {
      MillraceConfig config = config(broker.bootstrapServers());
      KafkaSettings kafka = JobSettings.kafka(config);
      try (TopicAdmin admin = new TopicAdmin(kafka)) {
        admin.createAll(1, 1);
      }
      progress.stage(
          "Kafka and Flink are up; seed %d, data in %s"
              .formatted(settings.seed(), settings.directory()));
      aftermath.accept(loop(cluster, kafka, config, start), broker.bootstrapServers());
    }
  }

  private MillraceConfig config(String bootstrapServers) {
    Path directory = settings.directory();
    long updates =
        (long) settings.demonstrations()
            * EPOCHS
            / (SUPERVISED_BATCH * DEMONSTRATIONS_PER_SEQUENCE);
    List<String> options =
        List.of(
            "kafka.bootstrap-servers=" + bootstrapServers,
            "checkpoints.directory=" + directory.resolve("checkpoints"),
            "flink.state-directory=" + directory.resolve("flink"),
            "flink.checkpoint-interval=250ms",
            "flink.restart-delay=200ms",
            "model.seed=" + settings.seed(),
            "model.max-positions=128",
            "model.vocab-size=1024",
            "supervised.batch-size=" + SUPERVISED_BATCH,
            "supervised.epochs=" + EPOCHS,
            "supervised.learning-rate=4e-3",
            "supervised.warmup-steps=20",
            "supervised.schedule-steps=" + Math.max(21, updates),
            "supervised.sequence-length=128",
            "supervised.publish-every=1000000000",
            "reward-model.batch-size=16",
            "reward-model.learning-rate=1e-3",
            "reward-model.max-tokens=128",
            // PPO begins with the first version of each, which the archive alone must bring.
            "reward-model.publish-every=" + Math.min(256, settings.archive() / 2),
            "reward-model.max-wait=1s",
            "rollout.samples-per-prompt=" + SAMPLES_PER_PROMPT,
            "rollout.batch-size=" + BATCH / 2,
            "rollout.max-tokens=" + MAX_TOKENS,
            "rollout.max-prompt-tokens=80",
            "ppo.batch-size=" + BATCH,
            "ppo.mini-batch-size=32",
            "ppo.learning-rate=3.5e-4",
            "ppo.critic-learning-rate=1e-3",
            "ppo.kl=0.05",
            "ppo.score-batch-size=" + BATCH,
            // Nothing is dropped: one more than asked for may pass while a version is published.
            "ppo.max-staleness=" + (settings.versionsBehind() + 3),
            "ppo.optimizer.weight-decay=0");
    return ConfigLoader.load(Optional.empty(), options);
  }

  private QuickstartReport loop(
      LocalCluster cluster, KafkaSettings kafka, MillraceConfig blank, long start)
      throws Exception {
    Path savepoints = settings.directory().resolve("savepoints");
    try (MetricsFollower metrics = new MetricsFollower(kafka);
        RecordWriter writer = new RecordWriter(kafka)) {
      // Stage 1: a policy that imitates demonstrations.
      progress.stage(
          "1/4 supervised: %d demonstrations, %d passes"
              .formatted(settings.demonstrations(), EPOCHS));
      for (Demonstration demonstration : world.demonstrations(settings.demonstrations())) {
        writer.send(Topic.DEMONSTRATIONS, demonstration);
      }
      writer.flush();
      JobID supervised = cluster.submit(Job.SUPERVISED.graph(InitialModel.ensure(blank), true));
      while (cluster.status(supervised) != JobStatus.FINISHED) {
        cluster.requireAlive(supervised);
        metrics.poll();
        metrics.latest("supervised").ifPresent(progress::supervised);
      }
      Map<String, Double> imitated = Summaries.of(cluster.await(supervised), "supervised");
      Path first = directory(blank, blank.model().name(), imitated.get("version").longValue());
      MillraceConfig config = blank.withInitial(first.toString());
      progress.stage("    policy version 1 in " + first);

      // Stage 2: reward models, from judgments between responses that people wrote.
      Annotators annotators = new Annotators(world, settings.seed(), clock);
      long archived = sendArchive(writer, annotators);
      progress.stage("2/4 reward models: %d judgments of the archive".formatted(archived));
      JobID rewardModels = cluster.submit(Job.REWARD_MODEL.graph(config, false));
      patience.await(
          () -> {
            cluster.requireAlive(rewardModels);
            metrics.poll();
            progress.rewardModels(rewardFigures(metrics));
            return metrics.sumOf("judgments", rewardJobs());
          },
          archived,
          "judgments learned from");

      // Stage 3: the loop.
      progress.stage(
          "3/4 PPO: %d iterations of %d rollouts, judged as they come"
              .formatted(settings.iterations(), BATCH));
      JobID rollout = cluster.submit(Job.ROLLOUT.graph(config, false));
      JobID ppo = cluster.submit(Job.PPO.graph(config, false, tap()));
      long rollouts = (long) settings.iterations() * BATCH;
      long prompts = rollouts / SAMPLES_PER_PROMPT;
      long judged;
      try (AnnotatorService service = new AnnotatorService(kafka, annotators)) {
        service.start();
        PromptFeeder feeder =
            new PromptFeeder(world, writer, 0, BATCH / SAMPLES_PER_PROMPT, prompts, 0);
        patience.await(
            () -> {
              cluster.requireAlive(rewardModels, rollout, ppo);
              metrics.poll();
              long iterations = metrics.latest("ppo").map(m -> m.getStep()).orElse(0L);
              feeder.feedUpTo(iterations + 1 + settings.versionsBehind());
              metrics.latest("ppo").ifPresent(m -> progress.ppo(m, rewardFigures(metrics)));
              return iterations;
            },
            settings.iterations(),
            "PPO iterations");
        patience.await(service::rolloutsSeen, rollouts, "rollouts judged");
        judged = service.judgmentsMade();
      }
      long judgments = archived + judged;
      patience.await(
          () -> {
            cluster.requireAlive(rewardModels);
            metrics.poll();
            return metrics.sumOf("judgments", rewardJobs());
          },
          judgments,
          "judgments learned from");

      // Stage 4: stop in order, and measure on prompts that nothing was trained on.
      progress.stage("4/4 draining the jobs, then measuring on held-out prompts");
      Map<String, Double> sampled = Summaries.of(cluster.drain(rollout, savepoints), "rollout");
      Map<String, Double> trained = Summaries.of(cluster.drain(ppo, savepoints), "ppo");
      var rewardSummaries = cluster.drain(rewardModels, savepoints);
      Map<String, QuickstartReport.RewardModel> rewards = new HashMap<>();
      long judgmentsConsumed = 0;
      for (Objective objective : Objective.values()) {
        Map<String, Double> figures =
            Summaries.of(rewardSummaries, RewardModelOperator.job(objective));
        judgmentsConsumed += figures.get("judgments").longValue();
        rewards.put(
            objective.name().toLowerCase(Locale.ROOT),
            new QuickstartReport.RewardModel(
                figures.get("version").longValue(),
                figures.get("judgments").longValue(),
                Summaries.section(figures, "accuracy/")));
      }
      Path last = directory(config, config.model().name(), trained.get("version").longValue());
      GoldEvaluator evaluator =
          new GoldEvaluator(world, settings.heldOut(), MAX_TOKENS, settings.seed());
      Measured before = evaluator.measure(first, first);
      Measured after = evaluator.measure(last, first);
      return new QuickstartReport(
          settings.seed(),
          (System.nanoTime() - start) / 1e9,
          new QuickstartReport.Policies(before, after),
          rewards,
          new Counts(prompts, judgments, sampled.get("rollouts").longValue()),
          new Counts(
              sampled.get("prompts").longValue(),
              judgmentsConsumed,
              trained.get("rollouts").longValue()),
          new QuickstartReport.Ppo(
              trained.get("iterations").longValue(),
              trained.get("learned").longValue(),
              trained.get("dropped/stale").longValue(),
              learnedTwice(kafka),
              trained.get("restarts").longValue()),
          curve(metrics.history("ppo")),
          last.toString());
    }
  }

  private long sendArchive(RecordWriter writer, Annotators annotators) throws IOException {
    List<Judgment> archive = new ArrayList<>();
    archive.addAll(annotators.archive(Objective.HELPFULNESS, settings.archive()));
    archive.addAll(annotators.archive(Objective.SAFETY, settings.archive() / 2));
    for (Judgment judgment : archive) {
      writer.send(Topic.JUDGMENTS, judgment);
    }
    writer.flush();
    return archive.size();
  }

  private static List<QuickstartReport.Iteration> curve(List<TrainingMetrics> iterations) {
    return iterations.stream()
        .map(
            metrics ->
                new QuickstartReport.Iteration(
                    metrics.getStep(),
                    metrics.getMetrics().get("objective/scores"),
                    metrics.getMetrics().get("objective/kl"),
                    metrics.getMetrics().get("stream/policy_lag_versions"),
                    metrics.getMetrics().get("objective/entropy"),
                    metrics.getMetrics().get("policy/clipfrac_avg"),
                    metrics.getMetrics().get("val/response_tokens")))
        .toList();
  }

  private static List<String> rewardJobs() {
    return List.of(
        RewardModelOperator.job(Objective.HELPFULNESS), RewardModelOperator.job(Objective.SAFETY));
  }

  private static Map<Objective, Double> rewardFigures(MetricsFollower metrics) {
    Map<Objective, Double> accuracies = new HashMap<>();
    for (Objective objective : Objective.values()) {
      metrics
          .latest(RewardModelOperator.job(objective))
          .map(m -> m.getMetrics().get("accuracy/all"))
          .ifPresent(accuracy -> accuracies.put(objective, accuracy));
    }
    return accuracies;
  }

  /** Rollouts that the topic rewards, which holds one record for each learned from, has twice. */
  private static long learnedTwice(KafkaSettings kafka) throws IOException {
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

  private static Path directory(MillraceConfig config, String name, long version)
      throws IOException {
    return JobSettings.store(config).directory(name, version);
  }

  private EdgeTap tap() {
    return settings.failAtRollout() == 0
        ? EdgeTap.NONE
        : new InducedFailure(settings.failAtRollout());
  }
}
