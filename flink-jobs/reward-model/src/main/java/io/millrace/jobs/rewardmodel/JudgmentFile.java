package io.millrace.jobs.rewardmodel;

import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.LengthCheck;
import io.millrace.jobs.models.RecordFile;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.RefusedRecordException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** Judgments from a file that an option names, treated as those of the stream. */
final class JudgmentFile {

  /** Most judgments of a file; the most that {@code reward-model.anchor-count} allows. */
  private static final int MOST = 65_536;

  private JudgmentFile() {}

  /** The judgments of {@code reward-model.anchors}. */
  static List<Judgment> anchors(MillraceConfig config, Objective objective) throws IOException {
    return read(
        config,
        "reward-model.anchors",
        config.section(RewardModelSection.class).anchors(),
        "an anchor",
        objective,
        true);
  }

  /** The judgments of {@code annotators.gold-tasks}. */
  static List<Judgment> goldTasks(MillraceConfig config, Objective objective) throws IOException {
    return read(
        config,
        "annotators.gold-tasks",
        config.section(AnnotatorSection.class).goldTasks(),
        "a gold task",
        objective,
        false);
  }

  /**
   * The judgments of a file with an objective; none if no file is named. As in the stream, long
   * dialogues lose their oldest turns.
   *
   * @param use what a judgment of the file is, such as {@code an anchor}
   * @param required whether the file must have a judgment of the objective
   * @throws IOException if the file cannot be used
   */
  private static List<Judgment> read(
      MillraceConfig config,
      String option,
      String file,
      String use,
      Objective objective,
      boolean required)
      throws IOException {
    if (file.isBlank()) {
      return List.of();
    }
    List<Judgment> judgments =
        RecordFile.lines(option, file, RecordFile::judgment).stream()
            .filter(judgment -> judgment.getObjective() == objective)
            .toList();
    if (judgments.isEmpty() && required) {
      throw new IOException(
          ("%s %s has no judgment of objective %s; add some, or leave the objective out of"
                  + " reward-model.objectives")
              .formatted(option, file, objective));
    }
    if (judgments.size() > MOST) {
      throw new IOException(
          "%s %s has %d judgments of objective %s, and all are kept in memory: keep at most %d"
              .formatted(option, file, judgments.size(), objective, MOST));
    }
    LengthCheck<Judgment> length = JudgmentCheck.lengths(config).judgments();
    try {
      length.open();
      List<Judgment> fitting = new ArrayList<>(judgments.size());
      for (Judgment judgment : judgments) {
        fitting.add(fitting(option, file, use, judgment, length));
      }
      return fitting;
    } finally {
      length.close();
    }
  }

  private static Judgment fitting(
      String option, String file, String use, Judgment judgment, LengthCheck<Judgment> length)
      throws IOException {
    Judgment shorter = length.shorten(judgment);
    try {
      length.check(shorter);
    } catch (RefusedRecordException e) {
      throw new IOException(
          "%s %s: judgment %s cannot be %s (%s): %s; remove it from the file"
              .formatted(option, file, judgment.getJudgmentId(), use, e.reason(), e.getMessage()),
          e);
    }
    return shorter;
  }
}
