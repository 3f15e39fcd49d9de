package io.millrace.model.rejection;

import io.millrace.model.reward.PiecewiseReward;
import java.util.List;
import java.util.OptionalInt;

/**
 * The choice of rejection sampling among the K responses y_k to one prompt p: argmax_k R(p, y_k)
 * (Llama 2, arXiv 2307.09288, section 3.2.3). A response that was cut at the length limit, or that
 * is blank, can never win.
 *
 * @param rewards LOGIT(R_c) of all responses, in the order in which they were sampled, {@code [K]}
 * @param usable whether each can win, {@code [K]}
 * @param winner position of the best response; empty if none can win. The first of equal ones wins.
 */
public record BestResponse(double[] rewards, boolean[] usable, OptionalInt winner) {

  /**
   * A response after scoring.
   *
   * @param tokens the stop token included
   * @param text what people read
   * @param stopped whether it ended with a stop token, before the length limit
   * @param temperature that it was sampled at
   * @param helpfulnessScore R_h, a logit
   * @param safetyScore R_s, a logit
   */
  public record Response(
      int[] tokens,
      String text,
      boolean stopped,
      float temperature,
      float helpfulnessScore,
      float safetyScore) {

    private boolean canWin() {
      return stopped && !text.isBlank();
    }
  }

  /**
   * Chooses among the responses to one prompt.
   *
   * @param isSafety IS_SAFETY(p)
   */
  public static BestResponse among(
      List<Response> responses, PiecewiseReward reward, boolean isSafety) {
    double[] rewards = new double[responses.size()];
    boolean[] usable = new boolean[rewards.length];
    int best = -1;
    for (int k = 0; k < rewards.length; k++) {
      Response response = responses.get(k);
      rewards[k] = reward.combine(response.helpfulnessScore(), response.safetyScore(), isSafety);
      usable[k] = response.canWin();
      if (usable[k] && (best < 0 || rewards[k] > rewards[best])) {
        best = k;
      }
    }
    return new BestResponse(rewards, usable, best < 0 ? OptionalInt.empty() : OptionalInt.of(best));
  }
}
