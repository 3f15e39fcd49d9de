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
 * @param kl log π_prox − log π_0 of every rollout, summed over its response, in nats
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
    private double policyLoss;
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
    private int skipped;

    /**
     * Adds the rewards of the batch.
     *
     * @param rewardSum over all tokens of the batch
     * @param beta weight of the KL penalty in it
     * @param weightSum the importance weights of all tokens
     */
    void rewards(
        double[] combined,
        double[] whitened,
        double[] kl,
        double rewardSum,
        double beta,
        double weightSum) {
      this.combined = combined;
      this.whitened = whitened;
      this.kl = kl;
      this.rewardSum = rewardSum;
      this.beta = beta;
      this.weightSum = weightSum;
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

    /** Adds an update. */
    void update(
        PolicyLoss policy,
        ValueLoss value,
        double meanEntropy,
        Optimizer.Update policyUpdate,
        Optimizer.Update criticUpdate) {
      updates++;
      policyLoss += policy.loss();
      ratio += policy.ratio();
      ratioSquares += policy.ratio() * policy.ratio();
      approximateKl += policy.approximateKl();
      clipFraction += policy.clipFraction();
      logRatiosClamped += policy.logRatiosClamped();
      entropy += meanEntropy;
      valueLoss += value.loss();
      valueClipFraction += value.clipFraction();
      policyNorm += policyUpdate.gradientNorm();
      criticNorm += criticUpdate.gradientNorm();
      learningRate = policyUpdate.learningRate();
    }

    /** Counts an update that was skipped. */
    void skipped() {
      skipped++;
    }

    /**
     * The iteration. Metrics of updates are means over the updates made; they are absent if every
     * update was skipped.
     */
    PpoIteration build(long iteration, List<PpoRollout> batch) {
      Map<String, Double> metrics = new LinkedHashMap<>();
      double size = batch.size();
      int tokens = batch.stream().mapToInt(rollout -> rollout.response().length).sum();
      long stopped = batch.stream().filter(rollout -> !rollout.truncated()).count();
      metrics.put("objective/kl", mean(kl));
      metrics.put("objective/non_score_reward", rewardSum / size - mean(whitened));
      metrics.put("objective/rlhf_reward", rewardSum / size);
      metrics.put("objective/scores", mean(combined));
      metrics.put("whitening/between_kinds", betweenKinds);
      metrics.put("whitening/alone", (double) alone);
      metrics.put("val/num_eos_tokens", (double) stopped);
      metrics.put("val/response_tokens", tokens / size);
      metrics.put("val/truncated_share", 1 - stopped / size);
      metrics.put("stream/importance_weight_avg", weightSum / tokens);
      metrics.put("updates/skipped", (double) skipped);
      metrics.put("beta", beta);
      if (updates > 0) {
        putMeansOfUpdates(metrics);
      }
      return new PpoIteration(iteration, combined, whitened, kl, metrics);
    }

    private void putMeansOfUpdates(Map<String, Double> metrics) {
      double made = updates;
      metrics.put("objective/entropy", entropy / made);
      metrics.put("policy/approxkl_avg", approximateKl / made);
      metrics.put("policy/clipfrac_avg", clipFraction / made);
      metrics.put("policy/log_ratios_clamped", (double) logRatiosClamped);
      metrics.put("policy/gradient_norm", policyNorm / made);
      metrics.put("loss/policy_avg", policyLoss / made);
      metrics.put("loss/value_avg", valueLoss / made);
      metrics.put("val/clipfrac_avg", valueClipFraction / made);
      metrics.put("val/ratio", ratio / made);
      double meanRatio = ratio / made;
      metrics.put("val/ratio_var", Math.max(0, ratioSquares / made - meanRatio * meanRatio));
      metrics.put("val/gradient_norm", criticNorm / made);
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
        @AvroDefault("0") int alone) {}

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
          alone);
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
      return builder;
    }
  }
}
