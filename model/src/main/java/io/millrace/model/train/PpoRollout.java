package io.millrace.model.train;

import java.util.Arrays;

/**
 * A rollout with everything that PPO learns from it.
 *
 * @param prompt tokens
 * @param response sampled tokens, the stop token included, {@code [r]}
 * @param logProbs of the response under the policy that sampled it, in nats, {@code [r]}
 * @param referenceLogProbs of the response under π_0, in nats, {@code [r]}
 * @param helpfulnessScore of the helpfulness reward model, a logit
 * @param safetyScore of the safety reward model, a logit
 * @param isSafety IS_SAFETY(p)
 * @param truncated the response was cut at the length limit
 */
public record PpoRollout(
    String id,
    int[] prompt,
    int[] response,
    float[] logProbs,
    float[] referenceLogProbs,
    float helpfulnessScore,
    float safetyScore,
    boolean isSafety,
    boolean truncated) {

  public PpoRollout {
    if (prompt.length == 0 || response.length == 0) {
      throw new IllegalArgumentException("rollout " + id + " has an empty prompt or response");
    }
    if (logProbs.length != response.length || referenceLogProbs.length != response.length) {
      throw new IllegalArgumentException(
          "rollout %s: %d response tokens, %d log-probs, %d reference log-probs"
              .formatted(id, response.length, logProbs.length, referenceLogProbs.length));
    }
  }

  /** Prompt and response in one, {@code [prompt + response]}. */
  int[] tokens() {
    int[] tokens = Arrays.copyOf(prompt, prompt.length + response.length);
    System.arraycopy(response, 0, tokens, prompt.length, response.length);
    return tokens;
  }
}
