package io.millrace.campaign;

import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.CheckpointRef;
import io.millrace.campaign.record.StageResult;
import io.millrace.demo.loop.AnnotatorService;
import io.millrace.demo.loop.MetricsFollower;
import io.millrace.demo.loop.Patience;
import io.millrace.jobs.Job;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.flink.api.common.JobID;

/**
 * Collects new judgments of the latest policy's samples. The job rollout answers prompts, and
 * annotators choose; they are real people or the demo world's.
 */
final class JudgmentStage extends JobStage {

  static final String NAME = "judgments";

  private static final Duration STALL = Duration.ofMinutes(4);

  private final DemoPeople people;

  /**
   * The stage.
   *
   * @param people simulated annotators; null to wait for real ones
   */
  JudgmentStage(CampaignContext context, int version, DemoPeople people) {
    super(context, version, NAME);
    this.people = people;
  }

  @Override
  public String title() {
    return "judgments of the latest policy's samples";
  }

  @Override
  Map<String, Long> starting(CampaignRecord record) throws Exception {
    // The demo world's people have not sent the version's prompts yet; applications may have.
    Map<String, Long> start =
        people != null
            ? context.offsets(Topic.PROMPTS)
            : context.positions(Job.ROLLOUT, Topic.PROMPTS);
    start.put("policy", record.latest(CheckpointRef.POLICY).version());
    return start;
  }

  @Override
  StageResult work(CampaignRecord record, Map<String, Long> start, MetricsFollower metrics)
      throws Exception {
    CheckpointRef policy = record.latest(CheckpointRef.POLICY);
    StageJob rollout = context.job(this, Job.ROLLOUT, settings(policy));
    try (JudgmentCount count = new JudgmentCount(context.kafka(), policy.version())) {
      if (people != null) {
        if (!rollout.isInterrupted()) {
          context.startAt(context.kafka(), Job.ROLLOUT, Topic.PROMPTS, start);
        }
        people.sendPrompts(version());
        JobID job = rollout.submit(false);
        judgeAll(job, policy);
        requireEnough(count);
        var _ = rollout.drain(job);
      } else if (count.ofPolicy() < wanted()) {
        JobID job = rollout.submit(false);
        waitFor(job, count, policy);
        var _ = rollout.drain(job);
      }
      StageResult.Builder result = StageResult.builder();
      if (people != null) {
        result.consumed("prompts", prompts());
      }
      for (Objective objective : Objective.values()) {
        result.produced(
            "judgments/" + objective.name().toLowerCase(Locale.ROOT), count.ofPolicy(objective));
      }
      return result.build();
    }
  }

  private List<String> settings(CheckpointRef policy) throws IOException {
    List<String> settings = new ArrayList<>();
    settings.add("model.initial=" + CampaignContext.location(policy));
    if (people != null) {
      settings.add("rollout.samples-per-prompt=" + samples());
    }
    return settings;
  }

  private int prompts() {
    return context.config().section(CampaignSection.class).prompts();
  }

  /** Samples of each prompt of the demo world. */
  private int samples() {
    return 2 * context.config().section(CampaignSection.class).pairs();
  }

  private long wanted() {
    return context.config().section(CampaignSection.class).judgments();
  }

  private void judgeAll(JobID job, CheckpointRef policy) throws Exception {
    try (AnnotatorService service = people.annotators(version(), policy.version())) {
      service.start();
      new Patience(STALL)
          .await(
              () -> {
                context.cluster().requireAlive(job);
                return service.rolloutsSeen();
              },
              (long) samples() * prompts(),
              "rollouts judged");
    }
  }

  private void requireEnough(JudgmentCount count) throws IOException {
    count.catchUp();
    if (count.ofPolicy() < wanted()) {
      throw new IOException(
          "the annotators made %d judgments of the samples of %d prompts, but campaign.judgments is %d; raise campaign.prompts"
              .formatted(count.ofPolicy(), prompts(), wanted()));
    }
  }

  /** Waits without a time limit: the annotators are people. */
  private void waitFor(JobID job, JudgmentCount count, CheckpointRef policy) throws Exception {
    while (count.ofPolicy() < wanted()) {
      context.cluster().requireAlive(job);
      context.progress().judgments(policy.version(), count.ofPolicy(), wanted());
      count.poll();
    }
  }
}
