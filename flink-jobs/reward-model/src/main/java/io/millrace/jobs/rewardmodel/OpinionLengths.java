package io.millrace.jobs.rewardmodel;

import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.LengthCheck;
import io.millrace.jobs.models.OldestTurns;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.Judgment;

/**
 * Refuses judgments and feedback that are longer than a job's models take.
 *
 * @param option that sets the limit, for messages
 * @param maxTokens of a dialogue with its response
 * @param truncate whether the oldest turns of a longer dialogue are dropped first
 */
public record OpinionLengths(
    MillraceConfig config, String option, int maxTokens, boolean truncate) {

  public LengthCheck<Judgment> judgments() {
    return check(
        (template, judgment) -> new JudgmentTokens(template).length(judgment),
        OldestTurns.ofPrompts(
            Judgment::getDialogue,
            (judgment, dialogue) -> Judgment.newBuilder(judgment).setDialogue(dialogue).build()));
  }

  public LengthCheck<Feedback> feedback() {
    return check(
        (template, feedback) -> new JudgmentTokens(template).of(feedback).length,
        OldestTurns.ofPrompts(
            Feedback::getDialogue,
            (feedback, dialogue) -> Feedback.newBuilder(feedback).setDialogue(dialogue).build()));
  }

  private <T> LengthCheck<T> check(LengthCheck.Length<T> length, LengthCheck.Shortening<T> oldest) {
    return new LengthCheck<>(config, option, maxTokens, 0, length, truncate ? oldest : null);
  }
}
