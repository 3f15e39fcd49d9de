package io.millrace.model.ppo;

import io.millrace.model.training.Optimizer;
import io.millrace.model.training.StateIo;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

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

  /** Collects an iteration's figures as it goes. */
  static final class Builder {
    private double[] combined = {};
    private double[] whitened = {};
    private double[] kl = {};
    private double rewardSum;
    private double beta;
    private double weightSum;
    private double policyLoss;
    private double ratio;
    private double ratioSquares;
    private double approximateKl;
    private double clipFraction;
    private double entropy;
    private double valueLoss;
    private double valueClipFraction;
    private double policyNorm;
    private double criticNorm;
    private double learningRate;
    private int updates;
    private int skipped;

    /**
     * Takes note of the rewards.
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

    /** Takes note of an update. */
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
      entropy += meanEntropy;
      valueLoss += value.loss();
      valueClipFraction += value.clipFraction();
      policyNorm += policyUpdate.gradientNorm();
      criticNorm += criticUpdate.gradientNorm();
      learningRate = policyUpdate.learningRate();
    }

    /** Takes note of an update that was left out. */
    void skipped() {
      skipped++;
    }

    /** The iteration; figures of updates are means over those that were made, 0 where none was. */
    PpoIteration build(long iteration, List<PpoRollout> batch) {
      Map<String, Double> metrics = new LinkedHashMap<>();
      double size = batch.size();
      double made = Math.max(1, updates);
      int tokens = batch.stream().mapToInt(rollout -> rollout.response().length).sum();
      long stopped = batch.stream().filter(rollout -> !rollout.truncated()).count();
      metrics.put("objective/kl", mean(kl));
      metrics.put("objective/entropy", entropy / made);
      metrics.put("objective/non_score_reward", rewardSum / size - mean(whitened));
      metrics.put("objective/rlhf_reward", rewardSum / size);
      metrics.put("objective/scores", mean(combined));
      metrics.put("policy/approxkl_avg", approximateKl / made);
      metrics.put("policy/clipfrac_avg", clipFraction / made);
      metrics.put("policy/gradient_norm", policyNorm / made);
      metrics.put("loss/policy_avg", policyLoss / made);
      metrics.put("loss/value_avg", valueLoss / made);
      metrics.put("val/clipfrac_avg", valueClipFraction / made);
      metrics.put("val/ratio", ratio / made);
      double meanRatio = ratio / made;
      metrics.put("val/ratio_var", Math.max(0, ratioSquares / made - meanRatio * meanRatio));
      metrics.put("val/num_eos_tokens", (double) stopped);
      metrics.put("val/response_tokens", tokens / size);
      metrics.put("val/truncated_share", 1 - stopped / size);
      metrics.put("val/gradient_norm", criticNorm / made);
      metrics.put("stream/importance_weight_avg", weightSum / tokens);
      metrics.put("updates/skipped", (double) skipped);
      metrics.put("beta", beta);
      metrics.put("lr", learningRate);
      return new PpoIteration(iteration, combined, whitened, kl, metrics);
    }

    private static double mean(double[] values) {
      return Arrays.stream(values).average().orElse(0);
    }

    void write(DataOutput out) throws IOException {
      StateIo.writeDoubles(out, combined);
      StateIo.writeDoubles(out, whitened);
      StateIo.writeDoubles(out, kl);
      StateIo.writeDoubles(
          out,
          new double[] {
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
            learningRate
          });
      out.writeInt(updates);
      out.writeInt(skipped);
    }

    static Builder read(DataInput in) throws IOException {
      Builder builder = new Builder();
      builder.combined = StateIo.readDoubles(in);
      builder.whitened = StateIo.readDoubles(in);
      builder.kl = StateIo.readDoubles(in);
      double[] sums = StateIo.readDoubles(in);
      int i = 0;
      builder.rewardSum = sums[i++];
      builder.beta = sums[i++];
      builder.weightSum = sums[i++];
      builder.policyLoss = sums[i++];
      builder.ratio = sums[i++];
      builder.ratioSquares = sums[i++];
      builder.approximateKl = sums[i++];
      builder.clipFraction = sums[i++];
      builder.entropy = sums[i++];
      builder.valueLoss = sums[i++];
      builder.valueClipFraction = sums[i++];
      builder.policyNorm = sums[i++];
      builder.criticNorm = sums[i++];
      builder.learningRate = sums[i];
      builder.updates = in.readInt();
      builder.skipped = in.readInt();
      return builder;
    }
  }
}
