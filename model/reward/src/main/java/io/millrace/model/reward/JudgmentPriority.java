package io.millrace.model.reward;

import io.millrace.model.training.Checks;

/**
 * How much a judgment of two responses to one prompt would teach a reward model with several heads.
 * Each head h gives a probability p_h = σ(r_h(a) − r_h(b)) that people prefer the first response.
 * The priority is the information that the choice has about the heads (BALD: Houlsby et al., arXiv
 * 1112.5745, equation 2; for reward models Dwaracherla et al., arXiv 2402.00396):
 *
 * <pre>
 * H(mean of p_h) − mean of H(p_h),  with H(p) = −p log p − (1 − p) log(1 − p)
 * </pre>
 *
 * <p>It is 0 where all heads agree, however near a tie the responses are, and at most log 2, where
 * half of the heads are sure of one response and half of the other. The offset of a head cancels
 * out.
 */
public final class JudgmentPriority {

  private JudgmentPriority() {}

  /**
   * The information of a judgment, in nats.
   *
   * @param first score of the first response by each head, such as {@code helpfulnessHeads} of the
   *     topic {@code rewards}
   * @param second likewise, of the second response by the same version of the reward model
   * @return 0 without heads
   */
  public static double of(float[] first, float[] second) {
    Checks.sameLength("heads of the second response", second.length, first.length);
    double mean = 0;
    double entropies = 0;
    for (int head = 0; head < first.length; head++) {
      double p = probability(first, second, head);
      mean += p / first.length;
      entropies += entropy(p) / first.length;
    }
    return first.length == 0 ? 0 : Math.max(0, entropy(mean) - entropies);
  }

  /**
   * The probability that people prefer the first response, mean of the heads; 0.5 is a near tie.
   */
  public static double preferred(float[] first, float[] second) {
    Checks.sameLength("heads of the second response", second.length, first.length);
    double sum = 0;
    for (int head = 0; head < first.length; head++) {
      sum += probability(first, second, head);
    }
    return sum / first.length;
  }

  private static double probability(float[] first, float[] second, int head) {
    Checks.finite("score of a head", first[head]);
    Checks.finite("score of a head", second[head]);
    return Logistic.sigmoid((double) first[head] - second[head]);
  }

  private static double entropy(double p) {
    return p <= 0 || p >= 1 ? 0 : -p * Math.log(p) - (1 - p) * Math.log1p(-p);
  }
}
