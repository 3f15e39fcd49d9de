package io.millrace.campaign;

import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.StageResult;
import java.util.Map;

/**
 * A step of a campaign that can be interrupted anywhere. What it starts from is taken down once,
 * before any of its work; its work may be begun again from that, any number of times, and comes to
 * one end.
 */
interface Stage {

  /** Unique in the campaign, such as {@code v3-ppo}. */
  String id();

  /** The version that it is part of; 0 is the chat checkpoint. */
  int version();

  /** What is done, for people. */
  String title();

  /**
   * What the stage starts from, such as versions and offsets, by name.
   *
   * @param record the campaign so far
   */
  Map<String, Long> begin(CampaignRecord record) throws Exception;

  /**
   * Does the work, or what an interrupted attempt left of it.
   *
   * @param record the campaign so far, without this stage's result
   * @param start what {@link #begin} said when the stage was first begun
   */
  StageResult run(CampaignRecord record, Map<String, Long> start) throws Exception;
}
