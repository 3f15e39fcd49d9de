package io.millrace.jobs.preference;

import io.millrace.connectors.flink.decode.RecordCheck;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.LengthCheck;
import io.millrace.jobs.models.OldestTurns;
import io.millrace.jobs.rewardmodel.JudgmentTokens;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Validation;

/** Refuses judgments and feedback that are too long, and judgments of two equal responses. */
final class OpinionCheck<T> implements RecordCheck<T> {

  private static final long serialVersionUID = 1;

  private final LengthCheck<T> length;

  private OpinionCheck(LengthCheck<T> length) {
    this.length = length;
  }

  static OpinionCheck<Judgment> judgments(MillraceConfig config) {
    return new OpinionCheck<>(
        length(
            config,
            (template, judgment) -> new JudgmentTokens(template).length(judgment),
            OldestTurns.ofPrompts(
                Judgment::getDialogue,
                (judgment, dialogue) ->
                    Judgment.newBuilder(judgment).setDialogue(dialogue).build())));
  }

  static OpinionCheck<Feedback> feedback(MillraceConfig config) {
    return new OpinionCheck<>(
        length(
            config,
            (template, feedback) -> new JudgmentTokens(template).of(feedback).length,
            OldestTurns.ofPrompts(
                Feedback::getDialogue,
                (feedback, dialogue) ->
                    Feedback.newBuilder(feedback).setDialogue(dialogue).build())));
  }

  private static <T> LengthCheck<T> length(
      MillraceConfig config, LengthCheck.Length<T> length, LengthCheck.Shortening<T> oldest) {
    PreferenceSection section = config.section(PreferenceSection.class);
    return new LengthCheck<>(
        config,
        "preference.max-tokens",
        section.maxTokens(),
        0,
        length,
        section.truncate() ? oldest : null);
  }

  @Override
  public void open() throws Exception {
    length.open();
  }

  @Override
  public T shorten(T opinion) {
    return length.shorten(opinion);
  }

  @Override
  public void check(T opinion) {
    if (opinion instanceof Judgment judgment) {
      Validation.requireDifferentResponses(judgment);
    }
    length.check(opinion);
  }

  @Override
  public void close() {
    length.close();
  }
}
