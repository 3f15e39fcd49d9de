package io.millrace.jobs.rewardmodel;

import io.millrace.jobs.config.MillraceConfig;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Pairs whose better response is known, to test annotators with. */
final class GoldTasks {

  private final Map<Long, Boolean> firstIsBetter = new HashMap<>();

  private GoldTasks() {}

  /**
   * The gold tasks of {@code annotators.gold-tasks} for an objective; none if no file is named.
   *
   * @throws IOException if the file cannot be used
   */
  static GoldTasks read(MillraceConfig config, Objective objective) throws IOException {
    return of(JudgmentFile.goldTasks(config, objective));
  }

  /**
   * The pairs of judgments whose choice is right.
   *
   * @throws IOException if two judgments of the same pair contradict each other
   */
  static GoldTasks of(List<Judgment> judgments) throws IOException {
    GoldTasks tasks = new GoldTasks();
    for (Judgment judgment : judgments) {
      JudgedPair pair = JudgedPair.of(judgment);
      boolean first = pair.prefersFirst(judgment);
      Boolean before = tasks.firstIsBetter.put(pair.key(), first);
      if (before != null && before != first) {
        throw new IOException(
            ("annotators.gold-tasks: judgment %s prefers the other response than an earlier line"
                    + " about the same pair; remove one of them")
                .formatted(judgment.getJudgmentId()));
      }
    }
    return tasks;
  }

  /** Whether a judgment of a gold task is right; empty if it is no gold task. */
  Optional<Boolean> isRight(Judgment judgment) {
    if (firstIsBetter.isEmpty()) {
      return Optional.empty();
    }
    JudgedPair pair = JudgedPair.of(judgment);
    return Optional.ofNullable(firstIsBetter.get(pair.key()))
        .map(first -> first == pair.prefersFirst(judgment));
  }
}
