package io.millrace.campaign;

import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.CheckpointRef;
import io.millrace.campaign.record.StageResult;
import io.millrace.demo.loop.MetricsFollower;
import io.millrace.jobs.Job;
import io.millrace.jobs.models.AnnouncementCheck;
import io.millrace.jobs.rewardmodel.RewardModelOperator;
import io.millrace.jobs.rewardmodel.RewardModelSection;
import io.millrace.schemas.Objective;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Trains two new reward models from the chat checkpoint, in one pass over all judgments so far
 * (Llama 2, section 3.2.2). With {@code reward-model.judge-share} it trains two more, which judge
 * the version.
 */
final class RewardModelStage extends JobStage {

  static final String NAME = "reward-models";

  RewardModelStage(CampaignContext context, int version) {
    super(context, version, NAME);
  }

  @Override
  public String title() {
    return "reward models from all judgments so far";
  }

  private static String role(Objective objective) {
    return AnnouncementCheck.rewardModelRole(objective, false);
  }

  private List<Boolean> kinds() {
    return context.config().section(RewardModelSection.class).kinds();
  }

  @Override
  Map<String, Long> starting(CampaignRecord record) throws Exception {
    Map<String, Long> start = new TreeMap<>();
    try (JudgmentCount count = new JudgmentCount(context.kafka(), 0)) {
      for (Objective objective : Objective.values()) {
        for (boolean judge : kinds()) {
          start.put(
              AnnouncementCheck.rewardModelRole(objective, judge),
              context.rewardVersion(objective, judge));
        }
        start.put("judgments/" + role(objective), count.all(objective));
      }
    }
    return start;
  }

  @Override
  StageResult work(CampaignRecord record, Map<String, Long> start, MetricsFollower metrics)
      throws Exception {
    List<String> settings = new ArrayList<>();
    settings.add("model.initial=" + CampaignContext.location(record.chat()));
    settings.add("reward-model.publish-every" + NEVER);
    settings.add("reward-model.objectives=helpfulness,safety");
    for (Objective objective : Objective.values()) {
      long judgments = start.get("judgments/" + role(objective));
      if (judgments == 0) {
        throw new IOException(
            "the topic %s has no judgment on %s; send judgments before the campaign trains reward models"
                .formatted(context.kafka().nameOf(Topic.JUDGMENTS), role(objective)));
      }
      settings.add("reward-model.%s.schedule-judgments=%d".formatted(role(objective), judgments));
    }
    StageJob job = context.job(this, Job.REWARD_MODEL, settings);
    if (job.isInterrupted() || !areNew(start)) {
      var _ =
          job.runToEnd(
              () -> {
                metrics.poll();
                context.progress().rewardModels(accuracies(metrics));
              });
    }
    return result(start);
  }

  private boolean areNew(Map<String, Long> start) throws IOException {
    for (Objective objective : Objective.values()) {
      for (boolean judge : kinds()) {
        if (context.rewardVersion(objective, judge)
            <= start.get(AnnouncementCheck.rewardModelRole(objective, judge))) {
          return false;
        }
      }
    }
    return true;
  }

  private static Map<Objective, Double> accuracies(MetricsFollower metrics) {
    Map<Objective, Double> accuracies = new HashMap<>();
    for (Objective objective : Objective.values()) {
      metrics
          .latest(RewardModelOperator.job(objective))
          .map(newest -> newest.getMetrics().get("accuracy/all"))
          .ifPresent(accuracy -> accuracies.put(objective, accuracy));
    }
    return accuracies;
  }

  private StageResult result(Map<String, Long> start) throws IOException {
    StageResult.Builder result = StageResult.builder();
    for (Objective objective : Objective.values()) {
      for (boolean judge : kinds()) {
        RewardCheckpoint published = context.announcedReward(objective, judge).orElseThrow();
        String role = AnnouncementCheck.rewardModelRole(objective, judge);
        result
            .consumed("judgments/" + role, published.getJudgments())
            .produced("reward-models/" + role, published.getVersion() - start.get(role))
            .checkpoint(
                CheckpointRef.of(published, RewardModelOperator.job(objective, judge))
                    .withRole(role))
            .metrics("reward-model/" + role + "/", published.getMetrics());
      }
    }
    return result.build();
  }
}
