package io.millrace.campaign;

import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.CheckpointRef;
import io.millrace.campaign.record.StageResult;
import io.millrace.demo.loop.MetricsFollower;
import io.millrace.jobs.Job;
import io.millrace.jobs.models.InitialModel;
import io.millrace.schemas.PolicyCheckpoint;
import java.util.List;
import java.util.Map;

/** Trains the chat checkpoint by supervised fine-tuning on the topic demonstrations. */
final class SupervisedStage extends JobStage {

  private static final String NAME = "supervised";

  private final DemoPeople people;

  /**
   * The stage.
   *
   * @param people authors of demonstrations; null where the topic has them already
   */
  SupervisedStage(CampaignContext context, DemoPeople people) {
    super(context, 0, NAME);
    this.people = people;
  }

  @Override
  public String title() {
    return "supervised fine-tuning on demonstrations";
  }

  @Override
  Map<String, Long> starting(CampaignRecord record) throws Exception {
    return Map.of("policy", context.policyVersion());
  }

  @Override
  StageResult work(CampaignRecord record, Map<String, Long> start, MetricsFollower metrics)
      throws Exception {
    if (people != null) {
      people.sendDemonstrations();
    }
    String initial = InitialModel.ensure(context.config()).model().initial();
    StageJob job =
        context.job(
            this,
            Job.SUPERVISED,
            List.of("model.initial=" + initial, "supervised.publish-every" + NEVER));
    if (job.isInterrupted() || context.policyVersion() <= start.get("policy")) {
      var _ =
          job.runToEnd(
              () -> {
                metrics.poll();
                metrics.latest(NAME).ifPresent(context.progress()::supervised);
              });
    }
    PolicyCheckpoint policy = context.announcedPolicy().orElseThrow();
    return StageResult.builder()
        .consumed("demonstrations", policy.getDemonstrations())
        .produced("policies", policy.getVersion() - start.get("policy"))
        .checkpoint(CheckpointRef.of(policy))
        .metric("supervised/loss", policy.getMetrics().getOrDefault("loss", Double.NaN))
        .build();
  }
}
