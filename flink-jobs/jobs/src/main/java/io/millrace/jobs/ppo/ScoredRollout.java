package io.millrace.jobs.ppo;

import io.millrace.model.ppo.PpoRollout;
import io.millrace.model.training.StateIo;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/**
 * A rollout on its way from scoring to learning. A POJO in Flink's sense.
 *
 * <p>It carries the helpfulness reward model's directory: the critic starts from the one that
 * scored the first batch.
 */
public final class ScoredRollout {

  public String rolloutId;
  public String promptId;
  public int[] prompt;
  public int[] response;
  public float[] logProbs;
  public float[] referenceLogProbs;
  public float helpfulnessScore;
  public float safetyScore;
  public long helpfulnessVersion;
  public long safetyVersion;
  public String helpfulnessUri;
  public boolean isSafety;
  public boolean truncated;
  public long policyVersion;
  public float temperature;

  /** For Flink's serializer. */
  public ScoredRollout() {}

  /** As it is learned from by a policy of the given version. */
  public PpoRollout toPpo(long version) {
    return new PpoRollout(
        rolloutId,
        prompt,
        response,
        logProbs,
        referenceLogProbs,
        helpfulnessScore,
        safetyScore,
        isSafety,
        truncated,
        policyVersion < version);
  }

  static void write(DataOutput out, ScoredRollout rollout) throws IOException {
    StateIo.writeText(out, rollout.rolloutId);
    StateIo.writeText(out, rollout.promptId);
    StateIo.writeInts(out, rollout.prompt);
    StateIo.writeInts(out, rollout.response);
    StateIo.writeFloats(out, rollout.logProbs);
    StateIo.writeFloats(out, rollout.referenceLogProbs);
    out.writeFloat(rollout.helpfulnessScore);
    out.writeFloat(rollout.safetyScore);
    out.writeLong(rollout.helpfulnessVersion);
    out.writeLong(rollout.safetyVersion);
    StateIo.writeText(out, rollout.helpfulnessUri);
    out.writeBoolean(rollout.isSafety);
    out.writeBoolean(rollout.truncated);
    out.writeLong(rollout.policyVersion);
    out.writeFloat(rollout.temperature);
  }

  static ScoredRollout read(DataInput in) throws IOException {
    ScoredRollout rollout = new ScoredRollout();
    rollout.rolloutId = StateIo.readText(in);
    rollout.promptId = StateIo.readText(in);
    rollout.prompt = StateIo.readInts(in);
    rollout.response = StateIo.readInts(in);
    rollout.logProbs = StateIo.readFloats(in);
    rollout.referenceLogProbs = StateIo.readFloats(in);
    rollout.helpfulnessScore = in.readFloat();
    rollout.safetyScore = in.readFloat();
    rollout.helpfulnessVersion = in.readLong();
    rollout.safetyVersion = in.readLong();
    rollout.helpfulnessUri = StateIo.readText(in);
    rollout.isSafety = in.readBoolean();
    rollout.truncated = in.readBoolean();
    rollout.policyVersion = in.readLong();
    rollout.temperature = in.readFloat();
    return rollout;
  }
}
