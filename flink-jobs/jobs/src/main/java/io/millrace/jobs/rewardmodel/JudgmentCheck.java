package io.millrace.jobs.rewardmodel;

import io.millrace.connectors.flink.decode.RecordCheck;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.LengthCheck;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.RefusedRecordException;
import java.util.ArrayList;
import java.util.List;

/** What reward models can learn from: dialogues that fit, of sources that their mix names. */
public final class JudgmentCheck implements RecordCheck<Judgment> {

  private static final long serialVersionUID = 1;

  private final LengthCheck<Judgment> length;
  private final ArrayList<JudgmentSources> trained;

  public JudgmentCheck(MillraceConfig config) {
    RewardModelSection section = config.section(RewardModelSection.class);
    this.length =
        new LengthCheck<>(
            config,
            "reward-model.max-tokens",
            section.maxTokens(),
            0,
            (template, judgment) -> new JudgmentTokens(template).length(judgment));
    this.trained = new ArrayList<>(sources(section));
  }

  /** The mix of every reward model that is trained. */
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
  public void check(Judgment judgment) {
    // An objective that is not trained here may be trained by another job, from the same topic.
    boolean ours =
        trained.stream().anyMatch(sources -> sources.objective() == judgment.getObjective());
    if (ours && trained.stream().noneMatch(sources -> sources.keyOf(judgment).isPresent())) {
      throw new RefusedRecordException(
          "unknown-source",
          "source '%s' is in no mix (reward-model.*.mixing); name it there, or all others by *"
              .formatted(judgment.getSource()));
    }
    length.check(judgment);
  }

  @Override
  public void close() {
    length.close();
  }
}
