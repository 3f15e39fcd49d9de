package io.millrace.jobs.rewardmodel;

import io.millrace.model.reward.SourceRatios;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import java.io.Serializable;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * Which key of a reward model's mix a judgment counts under: its source; for one of the other
 * objective, that objective and its source, as in {@code safety/own}; {@code *} in the place of a
 * source stands for all that are not named.
 *
 * @param objective the reward model's
 */
public record JudgmentSources(Objective objective, SourceRatios ratios) implements Serializable {

  /** The key, or nothing where the reward model does not learn from such judgments. */
  public Optional<String> keyOf(Judgment judgment) {
    String other = qualified(judgment.getObjective(), "");
    List<String> keys =
        judgment.getObjective() == objective
            ? List.of(
                judgment.getSource(),
                other + judgment.getSource(),
                SourceRatios.ANY,
                other + SourceRatios.ANY)
            : List.of(other + judgment.getSource(), other + SourceRatios.ANY);
    return keys.stream().filter(ratios::names).findFirst();
  }

  /** The key, or one that is in no mix: of what a job took in before its mix was changed. */
  String keyOfAny(Judgment judgment) {
    return keyOf(judgment)
        .orElseGet(() -> qualified(judgment.getObjective(), judgment.getSource()));
  }

  private static String qualified(Objective objective, String source) {
    return objective.name().toLowerCase(Locale.ROOT) + "/" + source;
  }
}
