package io.millrace.model.ppo;

import io.millrace.model.training.Checks;

/**
 * PPO's clipped losses, token by token, with their derivatives (Schulman et al., arXiv 1707.06347).
 *
 * <p>Policy (equation 7, negated): {@code ratio = exp(new − old)}, {@code loss = max(−A·ratio,
 * −A·clip(ratio, 1 ± clip))}. Where the clipped side is the larger, the derivative is 0. The
 * log-ratio is clamped to ±{@value #MAX_LOG_RATIO} before exp; beyond that the derivative is 0 too,
 * and such tokens are counted.
 *
 * <p>Critic: {@code loss = ½·max((v − R)², (clip(v, old ± valueClip) − R)²)}, as in the PPO of
 * OpenAI Baselines (Engstrom et al., arXiv 2005.12729, section 3).
 *
 * @param clip of the ratio, in (0, 1)
 * @param valueClip how far a value may usefully move from its old one, above 0; infinite: no
 *     clipping
 */
public record PpoObjective(double clip, double valueClip) {

  /** Llama 2 (arXiv 2307.09288), section 3.2.3. */
  public static final double DEFAULT_CLIP = 0.2;

  public static final double DEFAULT_VALUE_CLIP = 0.2;

  /** e^20 is 4.9e8: far from anything a sane update makes, and far from overflow. */
  public static final double MAX_LOG_RATIO = 20;

  public PpoObjective {
    Checks.that(clip > 0 && clip < 1, "clip", clip, "in (0, 1)");
    Checks.that(valueClip > 0, "valueClip", valueClip, "above 0");
  }

  public static PpoObjective defaults() {
    return new PpoObjective(DEFAULT_CLIP, DEFAULT_VALUE_CLIP);
  }

  /**
   * The policy's loss at one token.
   *
   * @param dLogProb derivative of the loss by the new log-prob
   * @param clipped whether the clipped side was the larger, so that nothing is learned
   * @param logRatioClamped whether the log-ratio was beyond ±{@value #MAX_LOG_RATIO}
   * @param approximateKl ½·(new − old)², in nats: {@link KlEstimator#K2}
   */
  public record PolicyToken(
      double loss,
      double dLogProb,
      double ratio,
      boolean clipped,
      boolean logRatioClamped,
      double approximateKl) {}

  /**
   * The critic's loss at one token.
   *
   * @param dValue derivative of the loss by the new value
   * @param clipped whether the clipped side was the larger, so that nothing is learned
   */
  public record ValueToken(double loss, double dValue, boolean clipped) {}

  /**
   * The policy's loss at one token.
   *
   * @throws IllegalArgumentException if an argument is not finite
   */
  public PolicyToken policyToken(double logProb, double oldLogProb, double advantage) {
    Checks.finite("log-prob", logProb);
    Checks.finite("old log-prob", oldLogProb);
    Checks.finite("advantage", advantage);
    double logRatio = logProb - oldLogProb;
    boolean clamped = Math.abs(logRatio) > MAX_LOG_RATIO;
    double ratio = Math.exp(Math.clamp(logRatio, -MAX_LOG_RATIO, MAX_LOG_RATIO));
    double free = -advantage * ratio;
    double bounded = -advantage * Math.clamp(ratio, 1 - clip, 1 + clip);
    boolean clipped = bounded > free;
    double derivative = clipped || clamped ? 0 : free;
    return new PolicyToken(
        Math.max(free, bounded), derivative, ratio, clipped, clamped, 0.5 * logRatio * logRatio);
  }

  /**
   * The critic's loss at one token.
   *
   * @param target the return
   * @throws IllegalArgumentException if an argument is not finite
   */
  public ValueToken valueToken(double value, double oldValue, double target) {
    Checks.finite("value", value);
    Checks.finite("old value", oldValue);
    Checks.finite("return", target);
    double free = value - target;
    double bounded = Math.clamp(value, oldValue - valueClip, oldValue + valueClip) - target;
    boolean clipped = bounded * bounded > free * free;
    double error = clipped ? bounded : free;
    return new ValueToken(0.5 * error * error, clipped ? 0 : free, clipped);
  }

  /**
   * The policy's loss over the response tokens of a micro-batch. Everything is divided by the
   * number of response tokens in the whole mini-batch, not in this part of it: the losses of the
   * parts add up.
   *
   * @param dLogProbs out: derivative of the loss by each new log-prob, {@code [tokens]}
   * @param oldLogProbs those the clip is around
   * @param weights of the tokens' losses, at least 0 ({@link ImportanceWeight}); 1 where the policy
   *     of oldLogProbs sampled the token
   * @param responseTokens of the whole mini-batch
   * @throws IllegalArgumentException if lengths differ, responseTokens is less than the tokens
   *     given, or a number is not finite; dLogProbs is then as it was
   */
  public PolicyLoss policyLoss(
      float[] dLogProbs,
      float[] logProbs,
      float[] oldLogProbs,
      float[] weights,
      double[] advantages,
      long responseTokens) {
    int tokens = logProbs.length;
    Checks.sameLength("derivatives by log-probs", dLogProbs.length, tokens);
    Checks.sameLength("old log-probs", oldLogProbs.length, tokens);
    Checks.sameLength("weights", weights.length, tokens);
    Checks.sameLength("advantages", advantages.length, tokens);
    checkResponseTokens(responseTokens, tokens);
    Checks.finite("log-probs", logProbs);
    Checks.finite("old log-probs", oldLogProbs);
    Checks.finite("weights", weights);
    Checks.finite("advantages", advantages);
    double loss = 0;
    double ratios = 0;
    double kl = 0; // Of the proximal policy, so old samples count by their weights.
    long clipped = 0;
    long clamped = 0;
    for (int t = 0; t < tokens; t++) {
      PolicyToken token = policyToken(logProbs[t], oldLogProbs[t], advantages[t]);
      dLogProbs[t] = (float) (weights[t] * token.dLogProb() / responseTokens);
      loss += weights[t] * token.loss();
      ratios += token.ratio();
      kl += weights[t] * token.approximateKl();
      clipped += token.clipped() ? 1 : 0;
      clamped += token.logRatioClamped() ? 1 : 0;
    }
    return new PolicyLoss(
        loss / responseTokens,
        ratios / responseTokens,
        kl / responseTokens,
        (double) clipped / responseTokens,
        clamped);
  }

  /**
   * The critic's loss over the response tokens of a micro-batch, divided as in {@link #policyLoss}.
   *
   * @param dValues out: derivative of the loss by each new value, {@code [tokens]}
   * @param responseTokens of the whole mini-batch
   * @throws IllegalArgumentException as {@link #policyLoss} does
   */
  public ValueLoss valueLoss(
      float[] dValues, float[] values, float[] oldValues, double[] returns, long responseTokens) {
    int tokens = values.length;
    Checks.sameLength("derivatives by values", dValues.length, tokens);
    Checks.sameLength("old values", oldValues.length, tokens);
    Checks.sameLength("returns", returns.length, tokens);
    checkResponseTokens(responseTokens, tokens);
    Checks.finite("values", values);
    Checks.finite("old values", oldValues);
    Checks.finite("returns", returns);
    double loss = 0;
    long clipped = 0;
    for (int t = 0; t < tokens; t++) {
      ValueToken token = valueToken(values[t], oldValues[t], returns[t]);
      dValues[t] = (float) (token.dValue() / responseTokens);
      loss += token.loss();
      clipped += token.clipped() ? 1 : 0;
    }
    return new ValueLoss(loss / responseTokens, (double) clipped / responseTokens);
  }

  private static void checkResponseTokens(long responseTokens, int tokens) {
    if (responseTokens < Math.max(1, tokens)) {
      throw new IllegalArgumentException(
          "the mini-batch cannot have "
              + responseTokens
              + " response tokens when this part of it has "
              + tokens);
    }
  }
}
