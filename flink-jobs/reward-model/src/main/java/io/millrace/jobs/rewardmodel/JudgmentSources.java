package io.millrace.jobs.rewardmodel;

import io.millrace.model.reward.SourceRatios;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import java.io.Serializable;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * Finds the key of a judgment in a reward model's mix. The key is the judgment's source. A judgment
 * of the other objective has that objective before its source, as in {@code safety/own}. The source
 * {@code *} stands for all sources that the mix does not name.
 *
 * @param objective of the reward model
 */
record JudgmentSources(Objective objective, SourceRatios ratios) implements Serializable {

  /** The key; empty if the reward model does not learn from such judgments. */
  Optional<String> keyOf(Judgment judgment) {
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

  /** The key; for a restored judgment whose source the mix no longer names, its source. */
  String keyOfAny(Judgment judgment) {
    return keyOf(judgment)
        .orElseGet(() -> qualified(judgment.getObjective(), judgment.getSource()));
  }

  private static String qualified(Objective objective, String source) {
    return objective.name().toLowerCase(Locale.ROOT) + "/" + source;
  }
}
