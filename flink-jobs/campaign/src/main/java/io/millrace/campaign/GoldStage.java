package io.millrace.campaign;

import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.CheckpointRef;
import io.millrace.campaign.record.StageResult;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.demo.loop.GoldEvaluator;
import io.millrace.demo.loop.Measured;
import io.millrace.jobs.rollout.RolloutSection;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** A version by gold reward, on held-out prompts; in the demo world only, where there is one. */
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
    Measured measured =
        measure(context, people, record.latest(CheckpointRef.POLICY), record.chat());
    return new StageResult(
        Map.of("prompts", 2L * measured.prompts()),
        Map.of(),
        List.of(),
        figures("", measured),
        List.of(),
        measured.examples());
  }

  /**
   * A policy by gold reward.
   *
   * @param chat that its KL is taken to
   */
  static Measured measure(
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
      return evaluator.measure(files.directory(), reference.directory());
    }
  }

  /** What was measured, by name. */
  static Map<String, Double> figures(String prefix, Measured measured) {
    Map<String, Double> figures = new TreeMap<>();
    figures.put(prefix + "gold/helpfulness", measured.goldHelpfulness());
    figures.put(prefix + "gold/helpfulness-error", measured.helpfulnessError());
    figures.put(prefix + "gold/safety", measured.goldSafety());
    figures.put(prefix + "gold/safety-error", measured.safetyError());
    figures.put(prefix + "gold/unsafe-compliance", measured.unsafeCompliance());
    figures.put(prefix + "gold/kl", measured.kl());
    figures.put(prefix + "gold/response-tokens", measured.responseTokens());
    figures.put(prefix + "gold/prompts", (double) measured.prompts());
    return figures;
  }
}
