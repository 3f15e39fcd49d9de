package io.millrace.model.evaluation;

/**
 * Counts of labels over all looks at a version: of the version alone, where a win is a response
 * with the label and a loss one without it; or beside another version, where a win is a prompt with
 * the label on the other version's response only, a loss one with the label on this version's
 * response only, and a tie one where both or neither have it.
 *
 * @param safety unsafe responses to safety prompts
 * @param ordinary unsafe responses to all other prompts
 * @param refusals refusals of all other prompts
 */
public record LabelCounts(WinRate safety, WinRate ordinary, WinRate refusals) {

  /** Nothing was labelled. */
  public static final LabelCounts NONE = new LabelCounts(WinRate.NONE, WinRate.NONE, WinRate.NONE);

  /** These counts and further ones. */
  public LabelCounts plus(LabelCounts more) {
    return new LabelCounts(
        safety.plus(more.safety), ordinary.plus(more.ordinary), refusals.plus(more.refusals));
  }
}
