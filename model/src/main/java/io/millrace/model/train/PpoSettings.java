package io.millrace.model.train;

import io.millrace.model.rlhf.Advantages;
import io.millrace.model.rlhf.KlPenalty;
import io.millrace.model.rlhf.PiecewiseReward;
import io.millrace.model.rlhf.PpoObjective;
import io.millrace.model.tensor.AdamW;

/**
 * How PPO learns (Llama 2, arXiv 2307.09288, section 3.2.3; Schulman et al., arXiv 1707.06347).
 *
 * @param miniBatchSize rollouts of one update
 * @param epochs passes over a batch
 * @param piecewise which reward model counts
 * @param klPenalty and what a truncated response loses
 * @param advantages γ and λ
 * @param objective the clips
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
    float temperature,
    long seed,
    AdamW adamW,
    LearningRate learningRate,
    LearningRate criticLearningRate) {}
