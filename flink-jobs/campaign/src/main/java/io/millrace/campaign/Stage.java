package io.millrace.campaign;

import io.millrace.campaign.record.CampaignRecord;
import io.millrace.campaign.record.StageResult;
import java.util.Map;

/**
 * A step of a campaign that can be interrupted anywhere. {@link #begin} records the stage's start
 * once, before any work. {@link #run} can be repeated from that start any number of times and
 * always gives the same result.
 */
interface Stage {

  /** Unique in the campaign, such as {@code v3-ppo}. */
  String id();

  /** The version that the stage belongs to; 0 is the chat checkpoint. */
  int version();

  /** The stage's work in words. */
  String title();

  /**
   * Versions and offsets from which the stage starts, by name.
   *
   * @param record the campaign so far
   */
  Map<String, Long> begin(CampaignRecord record) throws Exception;

  /**
   * Does the work, or the rest of the work of an interrupted attempt.
   *
   * @param record the campaign so far, without this stage's result
   * @param start the result of {@link #begin} in the first attempt
   */
  StageResult run(CampaignRecord record, Map<String, Long> start) throws Exception;
}
