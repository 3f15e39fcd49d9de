package io.millrace.campaign;

import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.StageResult;
import java.util.Map;

/**
 * Sends the demo world's judgments for the first reward models, before any version. Llama 2 used
 * open data for that (section 3.2.1).
 */
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
    return "%d judgments of responses that people wrote".formatted(judgments);
  }

  @Override
  public Map<String, Long> begin(CampaignRecord record) {
    return Map.of();
  }

  @Override
  public StageResult run(CampaignRecord record, Map<String, Long> start) throws Exception {
    people.sendArchive();
    return StageResult.builder().produced("judgments", judgments).build();
  }
}
