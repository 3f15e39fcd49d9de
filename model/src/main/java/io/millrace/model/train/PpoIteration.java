package io.millrace.model.train;

import io.millrace.model.rlhf.PolicyLoss;
import io.millrace.model.rlhf.ValueLoss;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What an iteration saw and did.
 *
 * @param combined LOGIT(R_c) of every rollout
 * @param whitened WHITEN(LOGIT(R_c)) of every rollout
 * @param kl log π_behaviour − log π_0 of every rollout, summed over its response, in nats
 * @param metrics under the names that TRL uses
 */
public record PpoIteration(
    long iteration,
    double[] combined,
    double[] whitened,
    double[] kl,
    Map<String, Double> metrics) {

  /** Collects an iteration's figures as its updates go. */
  static final class Builder {
    private PolicyLoss policy = PolicyLoss.ZERO;
    private ValueLoss value = ValueLoss.ZERO;
    private double entropy;
    private double ratioSquares;
    private double policyNorm;
    private double criticNorm;
    private double learningRate;
    private int updates;
    private int skipped;

    /** Takes note of one update. */
    void add(
        PolicyLoss policyLoss,
        ValueLoss valueLoss,
        float[] entropies,
        Optimizer.Update policyUpdate,
        Optimizer.Update criticUpdate) {
      updates++;
      policy = policy.plus(policyLoss);
      value = value.plus(valueLoss);
      double sum = 0;
      for (float e : entropies) {
        sum += e;
      }
      entropy += sum / entropies.length;
      ratioSquares += policyLoss.ratio() * policyLoss.ratio();
      skipped += policyUpdate.applied() && criticUpdate.applied() ? 0 : 1;
      policyNorm += policyUpdate.gradientNorm();
      criticNorm += criticUpdate.gradientNorm();
      learningRate = policyUpdate.learningRate();
    }

    PpoIteration build(
        long iteration,
        List<PpoRollout> batch,
        double[] combined,
        double[] whitened,
        double[] kl,
        double rewardSum,
        double beta) {
      Map<String, Double> metrics = new LinkedHashMap<>();
      double size = batch.size();
      metrics.put("objective/kl", mean(kl));
      metrics.put("objective/entropy", entropy / updates);
      metrics.put("objective/non_score_reward", rewardSum / size - mean(whitened));
      metrics.put("objective/rlhf_reward", rewardSum / size);
      metrics.put("objective/scores", mean(combined));
      metrics.put("policy/approxkl_avg", policy.approximateKl() / updates);
      metrics.put("policy/clipfrac_avg", policy.clipFraction() / updates);
      metrics.put("loss/policy_avg", policy.loss() / updates);
      metrics.put("loss/value_avg", value.loss() / updates);
      metrics.put("val/clipfrac_avg", value.clipFraction() / updates);
      double ratio = policy.ratio() / updates;
      metrics.put("val/ratio", ratio);
      metrics.put("val/ratio_var", Math.max(0, ratioSquares / updates - ratio * ratio));
      long stopped = batch.stream().filter(rollout -> !rollout.truncated()).count();
      metrics.put("val/num_eos_tokens", (double) stopped);
      int responseTokens = batch.stream().mapToInt(rollout -> rollout.response().length).sum();
      metrics.put("val/response_tokens", responseTokens / size);
      metrics.put("policy/gradient_norm", policyNorm / updates);
      metrics.put("val/gradient_norm", criticNorm / updates);
      metrics.put("updates/skipped", (double) skipped);
      metrics.put("beta", beta);
      metrics.put("lr", learningRate);
      return new PpoIteration(iteration, combined, whitened, kl, metrics);
    }

    private static double mean(double[] values) {
      double sum = 0;
      for (double value : values) {
        sum += value;
      }
      return sum / values.length;
    }
  }
}
