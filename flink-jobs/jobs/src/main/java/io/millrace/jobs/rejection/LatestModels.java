package io.millrace.jobs.rejection;

import io.millrace.jobs.models.RewardModelPair;
import io.millrace.jobs.models.ModelRef;
import io.millrace.model.training.StateIo;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;

/** The models that the last candidates come from: versions, and directories or "". */
record LatestModels(
    long policyVersion,
    String policyUri,
    long helpfulnessVersion,
    String helpfulnessUri,
    long safetyVersion,
    String safetyUri) {

  /** Before the first candidates. */
  static LatestModels none() {
    return new LatestModels(0, "", 0, "", 0, "");
  }

  static LatestModels of(Candidates candidates) {
    return new LatestModels(
        candidates.policyVersion,
        candidates.policyUri,
        candidates.helpfulnessVersion,
        candidates.helpfulnessUri,
        candidates.safetyVersion,
        candidates.safetyUri);
  }

  /** Whether there were candidates. */
  boolean areKnown() {
    return !policyUri.isEmpty();
  }

  void write(DataOutput out) throws IOException {
    out.writeLong(policyVersion);
    StateIo.writeText(out, policyUri);
    out.writeLong(helpfulnessVersion);
    StateIo.writeText(out, helpfulnessUri);
    out.writeLong(safetyVersion);
    StateIo.writeText(out, safetyUri);
  }

  static LatestModels read(DataInput in) throws IOException {
    return new LatestModels(
        in.readLong(),
        StateIo.readText(in),
        in.readLong(),
        StateIo.readText(in),
        in.readLong(),
        StateIo.readText(in));
  }

  RewardModelPair rewardModels() {
    return new RewardModelPair(
        new ModelRef(helpfulnessVersion, helpfulnessUri, ""),
        new ModelRef(safetyVersion, safetyUri, ""));
  }
}
