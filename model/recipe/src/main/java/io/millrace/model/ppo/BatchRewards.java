package io.millrace.model.ppo;

import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Rewards and advantages of a whole PPO batch, before its first update: piecewise reward,
 * whitening, KL penalty, {@link Advantages}.
 *
 * <p>A policy's reward is R̃_c, which {@link RewardWhitening} shifts and scales. Where responses to
 * one prompt are compared, the shift cancels out. The scale stays: β and the truncation penalty are
 * in units of the whitened reward, whatever the spread of a reward model's scores is.
 */
final class BatchRewards {

  private final PpoBatch batch;
  private final PpoSettings settings;

  /** R of each response: the sum of its tokens' rewards. */
  private final double[] rewards;

  BatchRewards(PpoBatch batch, PpoSettings settings) {
    this.batch = batch;
    this.settings = settings;
    this.rewards = new double[batch.size()];
  }

  /**
   * Writes advantages, returns and metrics into the batch.
   *
   * @param beta weight of the KL penalty
   */
  void compute(double beta) {
    // R̃_c = WHITEN(LOGIT(R_c)), whitened by group.
    double[] combined = new double[batch.size()];
    for (int i = 0; i < combined.length; i++) {
      PpoRollout rollout = batch.rollouts.get(i);
      combined[i] =
          settings
              .piecewise()
              .combine(rollout.helpfulnessScore(), rollout.safetyScore(), rollout.isSafety());
    }
    double[] whitened = settings.whitening().whiten(batch.rollouts, combined);

    double[] kl = new double[batch.size()];
    double rewardSum = 0;
    double klReward = 0;
    for (int i = 0; i < batch.size(); i++) {
      PpoRollout rollout = batch.rollouts.get(i);
      float[] logProbs = batch.of(i, batch.proximalLogProbs);
      double lengthPenalty = settings.lengthPenalty().of(logProbs.length);
      batch.metrics.lengthPenalty(lengthPenalty);
      double earned = whitened[i] - lengthPenalty;
      double[] tokenRewards =
          settings
              .klPenalty()
              .rewards(logProbs, rollout.referenceLogProbs(), earned, rollout.truncated(), beta);
      rewards[i] = Arrays.stream(tokenRewards).sum();
      rewardSum += rewards[i];
      klReward += rewards[i] - settings.klPenalty().last(earned, rollout.truncated());
      kl[i] = KlEstimator.K1.sum(logProbs, rollout.referenceLogProbs(), batch.of(i, batch.weights));
      ofTokens(i, tokenRewards);
    }
    if (settings.advantages().method().comparesResponses()) {
      prompts(batch.rollouts).forEach(this::ofGroup);
    } else {
      batch.advantages = Whitening.defaults().whiten(batch.advantages);
    }
    batch.metrics.rewards(combined, whitened, kl, rewardSum, beta);
    batch.metrics.tokens(batch.weights, batch.proximalLogProbs, klReward);
    batch.metrics.whitening(
        RewardWhitening.shareBetweenKinds(batch.rollouts, whitened),
        settings.whitening().alone(batch.rollouts));
  }

  /** Advantages that need one response alone, before they are whitened. */
  private void ofTokens(int i, double[] tokenRewards) {
    Advantages advantages = settings.advantages();
    int at = batch.offsets[i];
    if (advantages.method().hasCritic()) {
      Advantages.Estimate estimate =
          advantages.estimate(tokenRewards, batch.of(i, batch.oldValues));
      System.arraycopy(estimate.advantages(), 0, batch.advantages, at, tokenRewards.length);
      System.arraycopy(estimate.returns(), 0, batch.returns, at, tokenRewards.length);
    } else if (!advantages.method().comparesResponses()) {
      double[] toGo = advantages.rewardsToGo(tokenRewards);
      System.arraycopy(toGo, 0, batch.advantages, at, toGo.length);
    }
  }

  private void ofGroup(List<Integer> members) {
    double[] some = members.stream().mapToDouble(i -> rewards[i]).toArray();
    double[] advantages = settings.advantages().ofGroup(some);
    for (int k = 0; k < advantages.length; k++) {
      int i = members.get(k);
      Arrays.fill(batch.advantages, batch.offsets[i], batch.offsets[i + 1], advantages[k]);
    }
    double squares = Arrays.stream(Advantages.centred(some)).map(x -> x * x).sum();
    batch.metrics.group(Math.sqrt(squares / some.length));
  }

  /** What the responses of a group have in common: the same reward model decides. */
  private record Prompt(List<Integer> tokens, boolean isSafety) {}

  /** Indices of the responses to each prompt, in order. */
  private static Collection<List<Integer>> prompts(List<PpoRollout> rollouts) {
    return IntStream.range(0, rollouts.size())
        .boxed()
        .collect(
            Collectors.groupingBy(
                i -> prompt(rollouts.get(i)), LinkedHashMap::new, Collectors.toList()))
        .values();
  }

  private static Prompt prompt(PpoRollout rollout) {
    return new Prompt(Arrays.stream(rollout.prompt()).boxed().toList(), rollout.isSafety());
  }
}
