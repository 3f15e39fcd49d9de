package io.millrace.campaign;

import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.StageResult;
import java.util.List;
import java.util.Map;

/** Judgments of the demo world from before the first version, as Llama 2 had open data. */
final class ArchiveStage implements Stage {

  private final DemoPeople people;
  private final long judgments;

  ArchiveStage(DemoPeople people, int helpfulness) {
    this.people = people;
    this.judgments = helpfulness + helpfulness / 2L;
  }

  @Override
  public String id() {
    return JobStage.id(0, "archive");
  }

  @Override
  public int version() {
    return 0;
  }

  @Override
  public String title() {
    return "%d judgments between responses that people wrote".formatted(judgments);
  }

  @Override
  public Map<String, Long> begin(CampaignRecord record) {
    return Map.of();
  }

  @Override
  public StageResult run(CampaignRecord record, Map<String, Long> start) throws Exception {
    people.sendArchive();
    return StageResult.of(Map.of(), Map.of("judgments", judgments), List.of(), Map.of());
  }
}
