package io.millrace.model.ppo;

import io.millrace.model.llama.TokenArrays;
import org.apache.avro.reflect.AvroAlias;

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
 * @param offPolicy whether logProbs are not exactly those of the policy that begins to learn from
 *     it: of other weights, or of another engine
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
    boolean truncated,
    @AvroAlias(alias = "stale") boolean offPolicy) {

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
    return TokenArrays.join(prompt, response);
  }
}
