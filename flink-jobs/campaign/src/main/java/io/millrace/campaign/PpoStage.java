package io.millrace.campaign;

import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.CheckpointRef;
import io.millrace.campaign.record.StageResult;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.demo.loop.MetricsFollower;
import io.millrace.demo.loop.Patience;
import io.millrace.demo.loop.PromptFeeder;
import io.millrace.jobs.Job;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.ppo.PpoSection;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.common.JobID;

/** PPO on top of rejection sampling (Llama 2, section 3.2.3), with the jobs rollout and ppo. */
final class PpoStage extends JobStage {

  static final String NAME = "ppo";

  /** Batches of prompts ahead of PPO: one is sampled while another is learned from. */
  private static final int AHEAD = 2;

  private static final Duration STALL = Duration.ofMinutes(4);

  /** The time limit where real applications send the prompts. */
  private static final Duration LONG = Duration.ofDays(30);

  private final DemoPeople people;

  /**
   * The stage.
   *
   * @param people senders of prompts; null where applications send them
   */
  PpoStage(CampaignContext context, int version, DemoPeople people) {
    super(context, version, NAME);
    this.people = people;
  }

  @Override
  public String title() {
    return "PPO, %d iterations of %d rollouts"
        .formatted(iterations(), context.config().section(PpoSection.class).batchSize());
  }

  private long iterations() {
    return context.config().section(CampaignSection.class).ppoIterations();
  }

  @Override
  Map<String, Long> starting(CampaignRecord record) throws Exception {
    Map<String, Long> start = new TreeMap<>(context.offsets(Topic.PROMPTS));
    start.put("policy", record.latest(CheckpointRef.POLICY).version());
    return start;
  }

  @Override
  StageResult work(CampaignRecord record, Map<String, Long> start, MetricsFollower metrics)
      throws Exception {
    CheckpointRef policy = record.latest(CheckpointRef.POLICY);
    List<String> settings = List.of("model.initial=" + CampaignContext.location(policy));
    StageJob rollout = context.job(this, Job.ROLLOUT, settings);
    StageJob ppo = context.job(this, Job.PPO, settings);
    metrics.readToEnd();
    if (ppo.isInterrupted() || iterations(metrics) < iterations()) {
      if (people != null && !rollout.isInterrupted() && !ppo.isInterrupted()) {
        context.startAt(context.kafka(), Job.ROLLOUT, Topic.PROMPTS, start);
      }
      learn(rollout, ppo, metrics);
    }
    PolicyCheckpoint last = context.announcedPolicy().orElseThrow();
    return StageResult.builder()
        .consumed("rollouts", last.getMetrics().getOrDefault("learned", 0.0).longValue())
        .produced("policies", last.getVersion() - start.get("policy"))
        .checkpoint(CheckpointRef.of(last))
        .metrics("ppo/", last.getMetrics())
        .build();
  }

  private static long iterations(MetricsFollower metrics) {
    return metrics.latest(NAME).map(TrainingMetrics::getStep).orElse(0L);
  }

  private void learn(StageJob rollout, StageJob ppo, MetricsFollower metrics) throws Exception {
    MillraceConfig config = context.config();
    int batch =
        config.section(PpoSection.class).batchSize()
            / config.section(RolloutSection.class).samplesPerPrompt();
    JobID sampling = rollout.submit(false);
    JobID learning = ppo.submit(false);
    try (RecordWriter writer = new RecordWriter(context.kafka())) {
      PromptFeeder feeder =
          people == null ? null : people.feeder(writer, version(), batch, iterations() * batch);
      new Patience(people == null ? LONG : STALL)
          .await(
              () -> {
                context.cluster().requireAlive(sampling, learning);
                metrics.poll();
                long done = iterations(metrics);
                if (feeder != null) {
                  feeder.feedUpTo(done + AHEAD);
                }
                metrics.latest(NAME).ifPresent(m -> context.progress().ppo(m, Map.of()));
                return done;
              },
              iterations(),
              "PPO iterations");
    }
    var _ = rollout.drain(sampling);
    var _ = ppo.drain(learning);
  }
}
