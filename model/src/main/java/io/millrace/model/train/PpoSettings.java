package io.millrace.model.train;

import io.millrace.model.rlhf.KlEstimator;
import io.millrace.model.tensor.AdamW;

/**
 * How PPO learns (Llama 2, arXiv 2307.09288, section 3.2.3; Schulman et al., arXiv 1707.06347).
 *
 * @param miniBatchSize rollouts of one update
 * @param epochs passes over a batch
 * @param gamma discount
 * @param lambda of generalised advantage estimation
 * @param clip range of the ratio
 * @param valueClip range of the critic's values
 * @param safetyThreshold R_s below which a response is judged by safety
 * @param truncationPenalty subtracted from the whitened reward of a truncated response
 * @param temperature that rollouts are sampled at, and log-probs taken at
 * @param seed of the shuffling
 */
public record PpoSettings(
    int miniBatchSize,
    int epochs,
    double gamma,
    double lambda,
    double clip,
    double valueClip,
    double safetyThreshold,
    KlEstimator klEstimator,
    double truncationPenalty,
    float temperature,
    long seed,
    AdamW adamW,
    LearningRate learningRate,
    LearningRate criticLearningRate) {}
