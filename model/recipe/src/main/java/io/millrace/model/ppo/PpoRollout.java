package io.millrace.model.ppo;

import io.millrace.model.training.StateIo;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
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
 * @param stale the policy that sampled it is older than the one that learns from it
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
    boolean stale) {

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

  void write(DataOutput out) throws IOException {
    StateIo.writeText(out, id);
    StateIo.writeInts(out, prompt);
    StateIo.writeInts(out, response);
    StateIo.writeFloats(out, logProbs);
    StateIo.writeFloats(out, referenceLogProbs);
    out.writeFloat(helpfulnessScore);
    out.writeFloat(safetyScore);
    out.writeBoolean(isSafety);
    out.writeBoolean(truncated);
    out.writeBoolean(stale);
  }

  static PpoRollout read(DataInput in) throws IOException {
    return new PpoRollout(
        StateIo.readText(in),
        StateIo.readInts(in),
        StateIo.readInts(in),
        StateIo.readFloats(in),
        StateIo.readFloats(in),
        in.readFloat(),
        in.readFloat(),
        in.readBoolean(),
        in.readBoolean(),
        in.readBoolean());
  }
}
