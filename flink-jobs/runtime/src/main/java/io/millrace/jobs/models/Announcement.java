package io.millrace.jobs.models;

import io.millrace.schemas.Objective;
import io.millrace.schemas.PolicyCheckpoint;
import io.millrace.schemas.RewardCheckpoint;
import org.apache.avro.reflect.Nullable;

/**
 * The announcement of a policy or a reward model.
 *
 * @param objective of a reward model; null for a policy
 */
public record Announcement(@Nullable Objective objective, ModelRef model) {

  public static Announcement of(PolicyCheckpoint policy) {
    return new Announcement(null, ModelRef.of(policy));
  }

  public static Announcement of(RewardCheckpoint rewardModel) {
    return new Announcement(rewardModel.getObjective(), ModelRef.of(rewardModel));
  }

  public boolean isPolicy() {
    return objective == null;
  }
}
