package io.millrace.model.ppo;

import io.millrace.model.training.Checks;
import java.util.Arrays;
import java.util.Objects;

/**
 * PPO's clipped losses, token by token, with their derivatives (Schulman et al., arXiv 1707.06347).
 *
 * <p>Policy (equation 7, negated): {@code ratio = exp(new − old)}, {@code loss = max(−A·ratio,
 * −A·clip(ratio, 1 − clip, 1 + clipHigh))}. Where the clipped side is the larger, the derivative is
 * 0. The log-ratio is clamped to ±{@value #MAX_LOG_RATIO} before exp; beyond that the derivative is
 * 0 too, and such tokens are counted. A clipHigh above clip lets unlikely tokens grow (DAPO, Yu et
 * al., arXiv 2503.14476, section 3.1).
 *
 * <p>Dual clip (Ye et al., arXiv 1912.09729): where A is below 0, the loss is at most {@code
 * −A·dualClip}, with derivative 0 there.
 *
 * <p>Sequence level (GSPO, Zheng et al., arXiv 2507.18071, section 4.1): the ratio of every token
 * is that of its response, {@code s = exp(mean(new − old))}. The derivative is that of GSPO-token
 * (section 4.3): {@code −A_t·s} for each token, which is GSPO's where the tokens of a response have
 * one advantage.
 *
 * <p>Critic: {@code loss = ½·max((v − R)², (clip(v, old ± valueClip) − R)²)}, as in the PPO of
 * OpenAI Baselines (Engstrom et al., arXiv 2005.12729, section 3).
 *
 * @param clip how far the ratio may usefully fall below 1, in (0, 1)
 * @param clipHigh how far it may usefully rise above 1, above 0
 * @param dualClip highest ratio where the advantage is below 0, above 1; infinite: none
 * @param level whether a token has its own ratio or that of its response
 * @param mean how the tokens of a mini-batch count in the policy's loss
 * @param valueClip how far a value may usefully move from its old one, above 0; infinite: no
 *     clipping
 */
public record PpoObjective(
    double clip,
    double clipHigh,
    double dualClip,
    ClipLevel level,
    LossMean mean,
    double valueClip) {

  /** Whose ratio is clipped. */
  public enum ClipLevel {
    TOKEN,
    SEQUENCE
  }

  /** What the policy's loss, its KL term included, is a mean over. */
  public enum LossMean {
    /** All response tokens of a mini-batch (DAPO, arXiv 2503.14476, section 3.3). */
    TOKENS,
    /** Responses, each the mean over its own tokens (GRPO, arXiv 2402.03300, equation 3). */
    RESPONSES
  }

  /** Llama 2 (arXiv 2307.09288), section 3.2.3. */
  public static final double DEFAULT_CLIP = 0.2;

  public static final double DEFAULT_VALUE_CLIP = 0.2;

  /** e^20 is 4.9e8: far from anything a sane update makes, and far from overflow. */
  public static final double MAX_LOG_RATIO = 20;

  public PpoObjective {
    Checks.that(clip > 0 && clip < 1, "clip", clip, "in (0, 1)");
    Checks.that(
        clipHigh > 0 && Double.isFinite(clipHigh), "clipHigh", clipHigh, "finite and above 0");
    Checks.that(dualClip > 1, "dualClip", dualClip, "above 1");
    Objects.requireNonNull(level, "level");
    Objects.requireNonNull(mean, "mean");
    Checks.that(valueClip > 0, "valueClip", valueClip, "above 0");
  }

  /** PPO's own clip, as far above 1 as below, of each token. */
  public PpoObjective(double clip, double valueClip) {
    this(clip, clip, Double.POSITIVE_INFINITY, ClipLevel.TOKEN, LossMean.TOKENS, valueClip);
  }

  public static PpoObjective defaults() {
    return new PpoObjective(DEFAULT_CLIP, DEFAULT_VALUE_CLIP);
  }

  /**
   * The policy's loss at one token.
   *
   * @param dLogProb derivative of the loss by the new log-prob
   * @param clipped whether the loss was clipped, so that nothing is learned
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
    return clipped(logRatio, logRatio, advantage);
  }

  /**
   * @param logRatio of the token
   * @param clippedLogRatio of the token or of its response
   */
  private PolicyToken clipped(double logRatio, double clippedLogRatio, double advantage) {
    boolean clamped = Math.abs(clippedLogRatio) > MAX_LOG_RATIO;
    double ratio = Math.exp(Math.clamp(clippedLogRatio, -MAX_LOG_RATIO, MAX_LOG_RATIO));
    double free = -advantage * ratio;
    double bounded = -advantage * Math.clamp(ratio, 1 - clip, 1 + clipHigh);
    double loss = Math.max(free, bounded);
    boolean clipped = bounded > free;
    if (advantage < 0 && ratio > dualClip) {
      loss = -advantage * dualClip;
      clipped = true;
    }
    double derivative = clipped || clamped ? 0 : free;
    return new PolicyToken(loss, derivative, ratio, clipped, clamped, 0.5 * logRatio * logRatio);
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
   * A part of a mini-batch.
   *
   * @param lengths tokens of each response of the part
   * @param shares how much each token counts in the policy's loss, {@code [tokens]}; their mean
   *     over the mini-batch is 1
   * @param responseTokens of the whole mini-batch
   */
  public record Part(int[] lengths, double[] shares, long responseTokens) {}

  /**
   * A part of a mini-batch, with the shares of {@link #mean}: 1, or {@code M / (B·T_i)}, where M is
   * the number of tokens of the mini-batch, B of its responses, and T_i of the token's response.
   *
   * @param lengths tokens of each response of the part
   * @param responseTokens M
   * @param responses B
   */
  public Part part(int[] lengths, long responseTokens, int responses) {
    double[] shares = new double[Arrays.stream(lengths).sum()];
    Arrays.fill(shares, 1);
    int at = 0;
    for (int i = 0; i < lengths.length && mean == LossMean.RESPONSES; i++) {
      Arrays.fill(
          shares, at, at + lengths[i], (double) responseTokens / ((double) responses * lengths[i]));
      at += lengths[i];
    }
    return new Part(lengths, shares, responseTokens);
  }

  /** The policy's loss over tokens of one response that count alike. */
  PolicyLoss policyLoss(
      float[] dLogProbs,
      float[] logProbs,
      float[] oldLogProbs,
      float[] weights,
      double[] advantages,
      long responseTokens) {
    double[] shares = new double[logProbs.length];
    Arrays.fill(shares, 1);
    Part part = new Part(new int[] {logProbs.length}, shares, responseTokens);
    return policyLoss(dLogProbs, logProbs, oldLogProbs, weights, advantages, part);
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
   * @param part its responses, one after another
   * @throws IllegalArgumentException if lengths differ, the mini-batch has fewer tokens than the
   *     part, or a number is not finite; dLogProbs is then as it was
   */
  public PolicyLoss policyLoss(
      float[] dLogProbs,
      float[] logProbs,
      float[] oldLogProbs,
      float[] weights,
      double[] advantages,
      Part part) {
    long responseTokens = part.responseTokens();
    int tokens = logProbs.length;
    Checks.sameLength("derivatives by log-probs", dLogProbs.length, tokens);
    Checks.sameLength("old log-probs", oldLogProbs.length, tokens);
    Checks.sameLength("weights", weights.length, tokens);
    Checks.sameLength("advantages", advantages.length, tokens);
    Checks.sameLength("shares", part.shares().length, tokens);
    Checks.sameLength("tokens of the responses", Arrays.stream(part.lengths()).sum(), tokens);
    checkResponseTokens(responseTokens, tokens);
    Checks.finite("log-probs", logProbs);
    Checks.finite("old log-probs", oldLogProbs);
    Checks.finite("weights", weights);
    Checks.finite("advantages", advantages);
    double[] logRatios = logRatios(logProbs, oldLogProbs, part.lengths());
    double loss = 0;
    double ratios = 0;
    double kl = 0; // Of the proximal policy, so old samples count by their weights.
    long clipped = 0;
    long clamped = 0;
    for (int t = 0; t < tokens; t++) {
      double logRatio = (double) logProbs[t] - oldLogProbs[t];
      PolicyToken token = clipped(logRatio, logRatios[t], advantages[t]);
      double weight = part.shares()[t] * weights[t];
      dLogProbs[t] = (float) (weight * token.dLogProb() / responseTokens);
      loss += weight * token.loss();
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

  /** The log-ratio that is clipped at each token: its own, or the mean of its response. */
  private double[] logRatios(float[] logProbs, float[] oldLogProbs, int[] lengths) {
    double[] logRatios = new double[logProbs.length];
    Arrays.setAll(logRatios, t -> (double) logProbs[t] - oldLogProbs[t]);
    int from = 0;
    for (int length : lengths) {
      if (level == ClipLevel.SEQUENCE) {
        double mean = Arrays.stream(logRatios, from, from + length).average().orElse(0);
        Arrays.fill(logRatios, from, from + length, mean);
      }
      from += length;
    }
    return logRatios;
  }

  /**
   * The critic's loss over the response tokens of a micro-batch, a mean over the tokens of the
   * mini-batch.
   *
   * @param dValues out: derivative of the loss by each new value, {@code [tokens]}
   * @param responseTokens of the whole mini-batch
   * @throws IllegalArgumentException if lengths differ, responseTokens is less than the tokens
   *     given, or a number is not finite; dValues is then as it was
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
