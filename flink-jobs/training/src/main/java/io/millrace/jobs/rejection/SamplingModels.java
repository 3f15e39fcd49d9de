package io.millrace.jobs.rejection;

import io.millrace.jobs.models.ModelRef;
import io.millrace.jobs.models.RewardModelPair;

/**
 * The models that candidates come from. Fine-tuning starts from the policy, and the bag is scored
 * anew by the reward models.
 *
 * @param policy that sampled
 * @param rewardModels that scored
 */
public record SamplingModels(ModelRef policy, RewardModelPair rewardModels) {}
