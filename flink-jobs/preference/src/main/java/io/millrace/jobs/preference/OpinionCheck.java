package io.millrace.jobs.preference;

import io.millrace.connectors.flink.decode.RecordCheck;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.LengthCheck;
import io.millrace.jobs.rewardmodel.OpinionLengths;
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
    return new OpinionCheck<>(lengths(config).judgments());
  }

  static OpinionCheck<Feedback> feedback(MillraceConfig config) {
    return new OpinionCheck<>(lengths(config).feedback());
  }

  private static OpinionLengths lengths(MillraceConfig config) {
    PreferenceSection section = config.section(PreferenceSection.class);
    return new OpinionLengths(
        config, "preference.max-tokens", section.maxTokens(), section.truncate());
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
