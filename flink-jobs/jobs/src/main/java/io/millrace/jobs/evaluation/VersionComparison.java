package io.millrace.jobs.evaluation;

import io.millrace.model.evaluation.Judge.Choice;
import io.millrace.model.evaluation.WinRate;
import java.util.ArrayList;
import java.util.List;

/**
 * The judge's choices between a version and another one, prompt by prompt.
 *
 * @param other the version to compare with
 * @param choices A for the evaluated version, B for the other; fewer than prompts while the judge
 *     is being asked
 */
record VersionComparison(long other, List<Choice> choices) {

  VersionComparison {
    choices = List.copyOf(choices);
  }

  VersionComparison(long other) {
    this(other, List.of());
  }

  /** This comparison with the choices for the next prompts. */
  VersionComparison plus(List<Choice> next) {
    List<Choice> all = new ArrayList<>(choices);
    all.addAll(next);
    return new VersionComparison(other, all);
  }

  /** The win rate of a complete comparison. */
  WinRate winRate() {
    return count(choices);
  }

  /** Counts choices: A is a win. */
  static WinRate count(List<Choice> choices) {
    int[] counts = new int[Choice.values().length];
    choices.forEach(choice -> counts[choice.ordinal()]++);
    return new WinRate(
        counts[Choice.A.ordinal()], counts[Choice.TIE.ordinal()], counts[Choice.B.ordinal()]);
  }
}
