package io.millrace.jobs.models;

import io.millrace.schemas.Objective;

/** The two reward models that score a response together. */
public record RewardModelPair(ModelRef helpfulness, ModelRef safety) {

  public ModelRef of(Objective objective) {
    return switch (objective) {
      case HELPFULNESS -> helpfulness;
      case SAFETY -> safety;
    };
  }

  /** Whether the store has deleted one of them. */
  public boolean isRetired() {
    return helpfulness.isRetired() || safety.isRetired();
  }
}
