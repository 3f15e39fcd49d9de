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
 * Collects new judgments of the samples of the policy that the version begins with. The job rollout
 * answers prompts, and annotators choose; they are real people or the demo world's.
 */
final class JudgmentStage extends JobStage {

  static final String NAME = "judgments";

  /** Prefix of the counts of judgments that were there before the stage. */
  private static final String KNOWN = "known/";

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
    return "judgments of the served policy's samples";
  }

  @Override
  Map<String, Long> starting(CampaignRecord record) throws Exception {
    // The demo world's people have not sent the version's prompts yet; applications may have.
    Map<String, Long> start =
        people != null
            ? context.offsets(Topic.PROMPTS)
            : context.positions(Job.ROLLOUT, Topic.PROMPTS);
    long policy = record.base(version()).version();
    start.put("policy", policy);
    try (JudgmentCount count = new JudgmentCount(context.kafka(), policy)) {
      // A version that was held leaves judgments of the same policy's samples behind.
      for (Objective objective : Objective.values()) {
        start.put(KNOWN + objective, isNew(record, policy) ? 0 : count.ofPolicy(objective));
      }
    }
    return start;
  }

  /** Whether no version before this one began with a policy. */
  private boolean isNew(CampaignRecord record, long policy) {
    return record.stages().stream()
        .filter(stage -> stage.id().equals(id(stage.version(), NAME)))
        .noneMatch(stage -> stage.version() < version() && policy == stage.start().get("policy"));
  }

  @Override
  StageResult work(CampaignRecord record, Map<String, Long> start, MetricsFollower metrics)
      throws Exception {
    CheckpointRef policy = record.base(version());
    StageJob rollout = context.job(this, Job.ROLLOUT, settings(policy));
    try (JudgmentCount count = new JudgmentCount(context.kafka(), policy.version())) {
      if (people != null) {
        if (!rollout.isInterrupted()) {
          context.startAt(context.kafka(), Job.ROLLOUT, Topic.PROMPTS, start);
        }
        people.sendPrompts(version());
        JobID job = rollout.submit(false);
        judgeAll(job, policy);
        requireEnough(count, start);
        var _ = rollout.drain(job);
      } else if (count.ofPolicy() < wanted(start)) {
        JobID job = rollout.submit(false);
        waitFor(job, count, policy, start);
        var _ = rollout.drain(job);
      }
      StageResult.Builder result = StageResult.builder();
      if (people != null) {
        result.consumed("prompts", prompts());
      }
      for (Objective objective : Objective.values()) {
        result.produced(
            "judgments/" + objective.name().toLowerCase(Locale.ROOT),
            count.ofPolicy(objective) - known(start, objective));
      }
      return result.build();
    }
  }

  private List<String> settings(CheckpointRef policy) throws IOException {
    List<String> settings = new ArrayList<>();
    settings.add("model.initial=" + CampaignContext.location(policy));
    settings.add("rollout.newest-version=" + policy.version());
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

  /** Judgments of the policy's samples that there must be, with those from before this stage. */
  private long wanted(Map<String, Long> start) {
    long wanted = context.config().section(CampaignSection.class).judgments();
    for (Objective objective : Objective.values()) {
      wanted += known(start, objective);
    }
    return wanted;
  }

  private static long known(Map<String, Long> start, Objective objective) {
    return start.getOrDefault(KNOWN + objective, 0L);
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

  private void requireEnough(JudgmentCount count, Map<String, Long> start) throws IOException {
    count.catchUp();
    if (count.ofPolicy() < wanted(start)) {
      throw new IOException(
          "the annotators made %d judgments of the samples of %d prompts, but campaign.judgments is %d; raise campaign.prompts"
              .formatted(count.ofPolicy(), prompts(), wanted(start)));
    }
  }

  /** Waits without a time limit: the annotators are people. */
  private void waitFor(
      JobID job, JudgmentCount count, CheckpointRef policy, Map<String, Long> start)
      throws Exception {
    while (count.ofPolicy() < wanted(start)) {
      context.cluster().requireAlive(job);
      context.progress().judgments(policy.version(), count.ofPolicy(), wanted(start));
      count.poll();
    }
  }
}
