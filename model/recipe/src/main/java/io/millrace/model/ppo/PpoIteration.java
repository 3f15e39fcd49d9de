package io.millrace.model.ppo;

import io.millrace.model.training.Optimizer;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.reflect.AvroDefault;

/**
 * What an iteration saw and did.
 *
 * @param combined LOGIT(R_c) of every rollout
 * @param whitened WHITEN(LOGIT(R_c)) of every rollout
 * @param kl log π_prox − log π_0 of every rollout, weighted by importance and summed over its
 *     response, in nats
 * @param metrics under the names that TRL uses
 */
public record PpoIteration(
    long iteration,
    double[] combined,
    double[] whitened,
    double[] kl,
    Map<String, Double> metrics) {

  /** Collects the iteration's metrics while it runs. */
  static final class Builder {
    private double[] combined = {};
    private double[] whitened = {};
    private double[] kl = {};
    private double rewardSum;
    private double beta;
    private double weightSum;
    private double betweenKinds;
    private int alone;
    private double weightSquares;
    private double klReward;
    private double lengthPenalties;
    private double surprisal;
    private int recomputed;
    private long weightsTruncated;
    private double largestWeight = 1;
    private double policyLoss;
    private double klLoss;
    private double ratio;
    private double ratioSquares;
    private double approximateKl;
    private double clipFraction;
    private long logRatiosClamped;
    private double entropy;
    private double valueLoss;
    private double valueClipFraction;
    private double policyNorm;
    private double criticNorm;
    private double learningRate;
    private int updates;
    private int criticUpdates;
    private int skipped;
    private int stopped;
    private int groups;
    private int groupsWithoutSpread;
    private double groupDeviations;

    /**
     * Adds an off-policy token.
     *
     * @param ratio its importance weight before it is truncated
     * @param weight its importance weight
     */
    void offPolicy(double ratio, double weight) {
      largestWeight = Math.max(largestWeight, ratio);
      weightsTruncated += weight < ratio ? 1 : 0;
    }

    /** Counts rollouts whose proximal log-probs were computed. */
    void recomputed(int rollouts) {
      recomputed += rollouts;
    }

    /**
     * Adds the rewards of the batch.
     *
     * @param rewardSum over all tokens of the batch
     * @param beta weight of the KL penalty
     */
    void rewards(double[] combined, double[] whitened, double[] kl, double rewardSum, double beta) {
      this.combined = combined;
      this.whitened = whitened;
      this.kl = kl;
      this.rewardSum = rewardSum;
      this.beta = beta;
    }

    /** Adds what a response lost for its length. */
    void lengthPenalty(double penalty) {
      lengthPenalties += penalty;
    }

    /**
     * Adds how the rewards were whitened.
     *
     * @param betweenKinds {@link RewardWhitening#shareBetweenKinds}
     * @param alone {@link RewardWhitening#alone}
     */
    void whitening(double betweenKinds, int alone) {
      this.betweenKinds = betweenKinds;
      this.alone = alone;
    }

    /**
     * Adds the responses to one prompt, whose rewards are compared.
     *
     * @param deviation standard deviation of their rewards; 0: there is nothing to learn
     */
    void group(double deviation) {
      groups++;
      groupDeviations += deviation;
      groupsWithoutSpread += deviation == 0 ? 1 : 0;
    }

    /**
     * Adds what the tokens of the batch have before the first update.
     *
     * @param klReward what all tokens pay for their KL in the reward, at most 0 in the mean
     */
    void tokens(float[] weights, float[] proximalLogProbs, double klReward) {
      this.klReward = klReward;
      for (int t = 0; t < weights.length; t++) {
        weightSum += weights[t];
        weightSquares += (double) weights[t] * weights[t];
        surprisal -= proximalLogProbs[t];
      }
    }

    /**
     * Adds an update of the policy.
     *
     * @param meanKlLoss the KL term of the loss
     */
    void policy(
        PolicyLoss policy, double meanKlLoss, double meanEntropy, Optimizer.Update policyUpdate) {
      updates++;
      klLoss += meanKlLoss;
      policyLoss += policy.loss();
      ratio += policy.ratio();
      ratioSquares += policy.ratio() * policy.ratio();
      approximateKl += policy.approximateKl();
      clipFraction += policy.clipFraction();
      logRatiosClamped += policy.logRatiosClamped();
      entropy += meanEntropy;
      policyNorm += policyUpdate.gradientNorm();
      learningRate = policyUpdate.learningRate();
    }

    /** Adds an update of the critic. */
    void critic(ValueLoss value, Optimizer.Update criticUpdate) {
      criticUpdates++;
      valueLoss += value.loss();
      valueClipFraction += value.clipFraction();
      criticNorm += criticUpdate.gradientNorm();
    }

    /** Counts updates that were left out because the KL of the iteration was above its bound. */
    void stopped(int updates) {
      stopped += updates;
    }

    /** Counts an update that was skipped. */
    void skipped() {
      skipped++;
    }

    /**
     * The iteration. Metrics of updates are means over the updates made; they are absent where none
     * was made.
     */
    PpoIteration build(long iteration, List<PpoRollout> batch) {
      Map<String, Double> metrics = new LinkedHashMap<>();
      double size = batch.size();
      int tokens = batch.stream().mapToInt(rollout -> rollout.response().length).sum();
      long ended = batch.stream().filter(rollout -> !rollout.truncated()).count();
      metrics.put("objective/kl", mean(kl));
      metrics.put("objective/entropy", surprisal / size);
      metrics.put("objective/non_score_reward", klReward / size);
      metrics.put(
          "objective/truncation_penalty",
          mean(whitened) + (klReward - rewardSum) / size - lengthPenalties / size);
      if (lengthPenalties > 0) {
        metrics.put("objective/length_penalty", lengthPenalties / size);
      }
      metrics.put("objective/rlhf_reward", rewardSum / size);
      metrics.put("objective/scores", mean(combined));
      metrics.put("whitening/between_kinds", betweenKinds);
      metrics.put("whitening/alone", (double) alone);
      metrics.put("val/num_eos_tokens", (double) ended);
      metrics.put("val/response_tokens", tokens / size);
      metrics.put("val/truncated_share", 1 - ended / size);
      metrics.put("stream/recomputed_share", recomputed / size);
      metrics.put("stream/importance_weight_avg", weightSum / tokens);
      metrics.put("stream/importance_weight_max", largestWeight);
      metrics.put("stream/importance_weight_truncated", (double) weightsTruncated / tokens);
      metrics.put(
          "stream/effective_sample_share",
          weightSquares > 0 ? weightSum * weightSum / (tokens * weightSquares) : 0);
      if (groups > 0) {
        metrics.put("groups/size", size / groups);
        metrics.put("groups/reward_deviation", groupDeviations / groups);
        metrics.put("groups/without_spread", (double) groupsWithoutSpread / groups);
      }
      metrics.put("updates/skipped", (double) skipped);
      metrics.put("updates/stopped", (double) stopped);
      metrics.put("beta", beta);
      putMeansOfUpdates(metrics);
      return new PpoIteration(iteration, combined, whitened, kl, metrics);
    }

    private void putMeansOfUpdates(Map<String, Double> metrics) {
      if (criticUpdates > 0) {
        double made = criticUpdates;
        metrics.put("loss/value_avg", valueLoss / made);
        metrics.put("val/clipfrac_avg", valueClipFraction / made);
        metrics.put("val/gradient_norm", criticNorm / made);
      }
      if (updates == 0) {
        return;
      }
      double made = updates;
      metrics.put("policy/entropy_avg", entropy / made);
      metrics.put("policy/approxkl_avg", approximateKl / made);
      metrics.put("policy/clipfrac_avg", clipFraction / made);
      metrics.put("policy/log_ratios_clamped", (double) logRatiosClamped);
      metrics.put("policy/gradient_norm", policyNorm / made);
      metrics.put("loss/policy_avg", policyLoss / made);
      metrics.put("loss/kl_avg", klLoss / made);
      metrics.put("val/ratio", ratio / made);
      double meanRatio = ratio / made;
      // As torch.var: unbiased. One update has none.
      metrics.put(
          "val/ratio_var",
          updates == 1
              ? 0
              : Math.max(0, (ratioSquares - made * meanRatio * meanRatio) / (made - 1)));
      metrics.put("lr", learningRate);
    }

    private static double mean(double[] values) {
      return Arrays.stream(values).average().orElse(0);
    }

    /** The sums so far. */
    record State(
        double[] combined,
        double[] whitened,
        double[] kl,
        double rewardSum,
        double beta,
        double weightSum,
        double policyLoss,
        double ratio,
        double ratioSquares,
        double approximateKl,
        double clipFraction,
        double entropy,
        double valueLoss,
        double valueClipFraction,
        double policyNorm,
        double criticNorm,
        double learningRate,
        int updates,
        int skipped,
        @AvroDefault("0") long logRatiosClamped,
        @AvroDefault("0") double betweenKinds,
        @AvroDefault("0") int alone,
        @AvroDefault("0.0") double weightSquares,
        @AvroDefault("0.0") double klReward,
        @AvroDefault("0.0") double surprisal,
        @AvroDefault("0") int recomputed,
        @AvroDefault("0") long weightsTruncated,
        @AvroDefault("1.0") double largestWeight,
        @AvroDefault("0.0") double klLoss,
        @AvroDefault("-1") int criticUpdates,
        @AvroDefault("0") int stopped,
        @AvroDefault("0") int groups,
        @AvroDefault("0") int groupsWithoutSpread,
        @AvroDefault("0.0") double groupDeviations,
        @AvroDefault("0.0") double lengthPenalties) {}

    State state() {
      return new State(
          combined,
          whitened,
          kl,
          rewardSum,
          beta,
          weightSum,
          policyLoss,
          ratio,
          ratioSquares,
          approximateKl,
          clipFraction,
          entropy,
          valueLoss,
          valueClipFraction,
          policyNorm,
          criticNorm,
          learningRate,
          updates,
          skipped,
          logRatiosClamped,
          betweenKinds,
          alone,
          weightSquares,
          klReward,
          surprisal,
          recomputed,
          weightsTruncated,
          largestWeight,
          klLoss,
          criticUpdates,
          stopped,
          groups,
          groupsWithoutSpread,
          groupDeviations,
          lengthPenalties);
    }

    static Builder of(State state) {
      Builder builder = new Builder();
      builder.combined = state.combined();
      builder.whitened = state.whitened();
      builder.kl = state.kl();
      builder.rewardSum = state.rewardSum();
      builder.beta = state.beta();
      builder.weightSum = state.weightSum();
      builder.policyLoss = state.policyLoss();
      builder.ratio = state.ratio();
      builder.ratioSquares = state.ratioSquares();
      builder.approximateKl = state.approximateKl();
      builder.clipFraction = state.clipFraction();
      builder.entropy = state.entropy();
      builder.valueLoss = state.valueLoss();
      builder.valueClipFraction = state.valueClipFraction();
      builder.policyNorm = state.policyNorm();
      builder.criticNorm = state.criticNorm();
      builder.learningRate = state.learningRate();
      builder.updates = state.updates();
      builder.skipped = state.skipped();
      builder.logRatiosClamped = state.logRatiosClamped();
      builder.betweenKinds = state.betweenKinds();
      builder.alone = state.alone();
      builder.weightSquares = state.weightSquares();
      builder.klReward = state.klReward();
      builder.surprisal = state.surprisal();
      builder.recomputed = state.recomputed();
      builder.weightsTruncated = state.weightsTruncated();
      builder.largestWeight = state.largestWeight();
      builder.klLoss = state.klLoss();
      // Earlier builds updated both models together.
      builder.criticUpdates = state.criticUpdates() < 0 ? state.updates() : state.criticUpdates();
      builder.stopped = state.stopped();
      builder.groups = state.groups();
      builder.groupsWithoutSpread = state.groupsWithoutSpread();
      builder.groupDeviations = state.groupDeviations();
      builder.lengthPenalties = state.lengthPenalties();
      return builder;
    }
  }
}
