package io.millrace.model.ppo;

import io.millrace.model.reward.PiecewiseReward;
import io.millrace.model.tensor.AdamW;
import io.millrace.model.training.LearningRate;

/**
 * How PPO learns (Llama 2, arXiv 2307.09288, section 3.2.3; Schulman et al., arXiv 1707.06347).
 *
 * @param miniBatchSize rollouts of one update
 * @param epochs passes over a batch
 * @param piecewise which reward model counts
 * @param klPenalty and what a truncated response loses
 * @param advantages γ and λ
 * @param objective the clips
 * @param importanceWeight of tokens that an older policy sampled; null: decoupled PPO is off, and
 *     the clip is around whatever policy sampled a token
 * @param maxSkippedUpdates after this many updates in a row that were not finite learning stops
 * @param temperature that rollouts are sampled at, and log-probs taken at
 * @param seed of the shuffling
 */
public record PpoSettings(
    int miniBatchSize,
    int epochs,
    PiecewiseReward piecewise,
    KlPenalty klPenalty,
    Advantages advantages,
    PpoObjective objective,
    ImportanceWeight importanceWeight,
    int maxSkippedUpdates,
    float temperature,
    long seed,
    AdamW adamW,
    LearningRate learningRate,
    LearningRate criticLearningRate) {

  public PpoSettings {
    if (miniBatchSize < 1 || epochs < 1 || maxSkippedUpdates < 1) {
      throw new IllegalArgumentException(
          "mini-batch size %d, epochs %d and skipped updates %d must be at least 1"
              .formatted(miniBatchSize, epochs, maxSkippedUpdates));
    }
  }
}
