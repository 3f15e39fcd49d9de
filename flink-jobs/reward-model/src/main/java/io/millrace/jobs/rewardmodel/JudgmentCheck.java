package io.millrace.jobs.rewardmodel;

import io.millrace.connectors.flink.decode.RecordCheck;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.LengthCheck;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Validation;
import java.util.ArrayList;
import java.util.List;

/** Refuses judgments with dialogues that are too long, or with a source that no mix names. */
final class JudgmentCheck implements RecordCheck<Judgment> {

  private static final long serialVersionUID = 1;

  private final LengthCheck<Judgment> length;
  private final ArrayList<JudgmentSources> trained;
  private final boolean requireDifferent;

  JudgmentCheck(MillraceConfig config) {
    RewardModelSection section = config.section(RewardModelSection.class);
    this.length = lengths(config).judgments();
    this.requireDifferent = section.requireDifferent();
    this.trained = new ArrayList<>(sources(section));
  }

  /** What every judgment and feedback must fit, those of the stream and those of anchors. */
  static OpinionLengths lengths(MillraceConfig config) {
    RewardModelSection section = config.section(RewardModelSection.class);
    return new OpinionLengths(
        config, "reward-model.max-tokens", section.maxTokens(), section.truncate());
  }

  /** The sources of every reward model that this job trains. */
  static List<JudgmentSources> sources(RewardModelSection section) {
    return section.objectives().stream()
        .map(objective -> new JudgmentSources(objective, section.of(objective).ratios()))
        .toList();
  }

  @Override
  public void open() throws Exception {
    length.open();
  }

  @Override
  public Judgment shorten(Judgment judgment) {
    return length.shorten(judgment);
  }

  @Override
  public void check(Judgment judgment) {
    // Another job may train the other objective from the same topic.
    boolean ours =
        trained.stream().anyMatch(sources -> sources.objective() == judgment.getObjective());
    if (ours && trained.stream().noneMatch(sources -> sources.keyOf(judgment).isPresent())) {
      throw new RefusedRecordException(
          "unknown-source",
          "source '%s' is in no mix: add it, or * for all other sources, to reward-model.*.mixing"
              .formatted(judgment.getSource()));
    }
    if (requireDifferent) {
      Validation.requireDifferentResponses(judgment);
    }
    length.check(judgment);
  }

  @Override
  public void close() {
    length.close();
  }
}
