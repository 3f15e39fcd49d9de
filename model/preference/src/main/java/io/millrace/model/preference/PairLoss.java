package io.millrace.model.preference;

import io.millrace.model.reward.Logistic;
import io.millrace.model.training.Checks;

/**
 * The loss at one pair of responses, by h = log(π(y_w|x) / π_0(y_w|x)) − log(π(y_l|x) /
 * π_0(y_l|x)). y_w is the chosen response and y_l the rejected one. Both log-probs are sums over
 * the tokens of a response.
 *
 * @param loss at least 0
 * @param slope derivative with respect to h; the derivative by log π(y_l|x) is its negative
 */
public record PairLoss(double loss, double slope) {

  /**
   * DPO (arXiv 2305.18290, equation 7), with a margin as in the reward models' ranking loss: {@code
   * −log σ(βh − m)}. With label smoothing ε (section 3 of Mitchell, "A note on DPO with noisy
   * preferences") the loss is {@code −(1 − ε) log σ(βh − m) − ε log σ(m − βh)}.
   *
   * @param difference h
   * @param beta β, above 0
   * @param margin m, at least 0
   * @param smoothing ε, the share of judgments that are taken to be wrong, 0 to below 0.5
   * @throws IllegalArgumentException if an argument is out of range
   */
  public static PairLoss dpo(double difference, double beta, double margin, double smoothing) {
    check(difference, beta, margin);
    checkSmoothing(smoothing);
    double shortfall = margin - beta * difference;
    return new PairLoss(
        (1 - smoothing) * Logistic.softplus(shortfall) + smoothing * Logistic.softplus(-shortfall),
        beta
            * (smoothing * Logistic.sigmoid(-shortfall)
                - (1 - smoothing) * Logistic.sigmoid(shortfall)));
  }

  /**
   * IPO (arXiv 2310.12036, equation 17, with τ = β): {@code (h − 1/(2β))²}. A margin moves the
   * target of βh from 1/2 to 1/2 + m.
   *
   * <p>The log-probs are sums over tokens, as the equation has them: it speaks of π(y|x), the
   * probability of a whole response. Means over tokens would be another objective, in which a long
   * response may move further from π_0 than a short one.
   *
   * @param difference h
   * @param beta β, above 0
   * @param margin m, at least 0
   * @throws IllegalArgumentException if an argument is out of range
   */
  public static PairLoss ipo(double difference, double beta, double margin) {
    check(difference, beta, margin);
    double distance = difference - (0.5 + margin) / beta;
    return new PairLoss(distance * distance, 2 * distance);
  }

  static void checkSmoothing(double smoothing) {
    Checks.that(smoothing >= 0 && smoothing < 0.5, "label smoothing", smoothing, "0 to below 0.5");
  }

  static void checkBeta(double beta) {
    Checks.that(beta > 0 && Double.isFinite(beta), "beta", beta, "finite and above 0");
  }

  private static void check(double difference, double beta, double margin) {
    Checks.finite("difference of the log-ratios", difference);
    checkBeta(beta);
    Checks.that(margin >= 0 && Double.isFinite(margin), "margin", margin, "finite and at least 0");
  }
}
