package io.millrace.model.train;

import io.millrace.model.rlhf.PpoObjective;
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
    private long tokens;
    private double policyLoss;
    private double valueLoss;
    private double policyClipped;
    private double valueClipped;
    private double approximateKl;
    private double ratio;
    private double ratioSquared;
    private double entropy;
    private double policyNorm;
    private double criticNorm;
    private double learningRate;
    private int updates;
    private int skipped;

    void policyTerm(PpoObjective.PolicyTerm term, double tokenEntropy) {
      tokens++;
      policyLoss += term.loss();
      policyClipped += term.clipped() ? 1 : 0;
      approximateKl += term.approximateKl();
      ratio += term.ratio();
      ratioSquared += term.ratio() * term.ratio();
      entropy += tokenEntropy;
    }

    void valueTerm(PpoObjective.ValueTerm term) {
      valueLoss += term.loss();
      valueClipped += term.clipped() ? 1 : 0;
    }

    void update(Optimizer.Update policy, Optimizer.Update critic) {
      updates++;
      skipped += policy.applied() && critic.applied() ? 0 : 1;
      policyNorm += policy.gradientNorm();
      criticNorm += critic.gradientNorm();
      learningRate = policy.learningRate();
    }

    PpoIteration build(
        long iteration,
        List<PpoRollout> batch,
        double[] combined,
        double[] whitened,
        double[] kl,
        double penaltySum,
        double beta) {
      Map<String, Double> metrics = new LinkedHashMap<>();
      double size = batch.size();
      metrics.put("objective/kl", mean(kl));
      metrics.put("objective/entropy", entropy / tokens);
      metrics.put("objective/non_score_reward", penaltySum / size);
      metrics.put("objective/rlhf_reward", mean(whitened) + penaltySum / size);
      metrics.put("objective/scores", mean(combined));
      metrics.put("policy/approxkl_avg", approximateKl / tokens);
      metrics.put("policy/clipfrac_avg", policyClipped / tokens);
      metrics.put("loss/policy_avg", policyLoss / tokens);
      metrics.put("loss/value_avg", valueLoss / tokens);
      metrics.put("val/clipfrac_avg", valueClipped / tokens);
      metrics.put("val/ratio", ratio / tokens);
      metrics.put(
          "val/ratio_var", Math.max(0, ratioSquared / tokens - ratio / tokens * (ratio / tokens)));
      metrics.put(
          "val/num_eos_tokens",
          (double) batch.stream().filter(rollout -> !rollout.truncated()).count());
      metrics.put(
          "val/response_tokens", batch.stream().mapToInt(r -> r.response().length).sum() / size);
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
