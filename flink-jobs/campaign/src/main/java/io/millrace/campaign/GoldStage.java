package io.millrace.campaign;

import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.CheckpointRef;
import io.millrace.campaign.record.StageResult;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.demo.loop.GoldEvaluator;
import io.millrace.demo.loop.GoldScores;
import io.millrace.jobs.rollout.RolloutSection;
import io.millrace.jobs.runtime.JobSettings;
import java.io.IOException;
import java.util.Map;
import java.util.TreeMap;

/** Measures a version by gold reward on held-out prompts. Only the demo world has gold reward. */
final class GoldStage implements Stage {

  private final CampaignContext context;
  private final int version;
  private final DemoPeople people;

  GoldStage(CampaignContext context, int version, DemoPeople people) {
    this.context = context;
    this.version = version;
    this.people = people;
  }

  @Override
  public String id() {
    return JobStage.id(version, "gold");
  }

  @Override
  public int version() {
    return version;
  }

  @Override
  public String title() {
    return "gold reward on held-out prompts";
  }

  @Override
  public Map<String, Long> begin(CampaignRecord record) {
    return Map.of("policy", record.latest(CheckpointRef.POLICY).version());
  }

  @Override
  public StageResult run(CampaignRecord record, Map<String, Long> start) throws Exception {
    GoldScores scores =
        measure(context, people, record.latest(CheckpointRef.POLICY), record.chat());
    return StageResult.builder()
        .consumed("prompts", 2L * scores.prompts())
        .metrics("", metrics(scores))
        .examples(scores.examples())
        .build();
  }

  /**
   * Measures a policy by gold reward.
   *
   * @param chat the reference policy for the KL
   */
  static GoldScores measure(
      CampaignContext context, DemoPeople people, CheckpointRef policy, CheckpointRef chat)
      throws IOException {
    GoldEvaluator evaluator =
        new GoldEvaluator(
            people.world(),
            context.config().section(CampaignSection.class).heldOut(),
            context.config().section(RolloutSection.class).maxTokens(),
            context.config().model().seed());
    try (LocalCheckpoint files = context.open(policy);
        LocalCheckpoint reference = context.open(chat)) {
      return evaluator.measure(
          JobSettings.cache(context.config()), files.directory(), reference.directory());
    }
  }

  /** The scores by metric name. */
  static Map<String, Double> metrics(GoldScores scores) {
    Map<String, Double> metrics = new TreeMap<>();
    metrics.put("gold/helpfulness", scores.helpfulness());
    metrics.put("gold/helpfulness-error", scores.helpfulnessError());
    metrics.put("gold/safety", scores.safety());
    metrics.put("gold/safety-error", scores.safetyError());
    metrics.put("gold/unsafe-compliance", scores.unsafeCompliance());
    metrics.put("gold/kl", scores.kl());
    metrics.put("gold/response-tokens", scores.responseTokens());
    metrics.put("gold/prompts", (double) scores.prompts());
    return metrics;
  }
}
