package io.millrace.model.ppo;

import io.millrace.model.training.StateIo;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;

/**
 * A PPO batch on its way: b rollouts with t response tokens in all. Per-token arrays are {@code
 * [t]}, rollout after rollout. It is learning state, so that a job that dies between two updates
 * goes on with the second.
 */
final class PpoBatch {

  final List<PpoRollout> rollouts;

  /** Prompt and response of each. */
  final List<int[]> sequences;

  /** Where each rollout's tokens begin, {@code [b + 1]}. */
  final int[] offsets;

  /** How many rollouts have their proximal log-probs and old values. */
  int valued;

  /** Log-probs under the policy as it stood when the batch began, which the clip is around. */
  final float[] proximalLogProbs;

  /** The critic's values as it stood when the batch began, at the row before each token. */
  final float[] oldValues;

  /** What each token's policy loss is multiplied with. */
  final float[] weights;

  /** Whitened. */
  double[] advantages;

  double[] returns;

  /** Updates done of the batch. */
  int updates;

  /** What the batch's rewards and updates were like. */
  PpoIteration.Builder figures;

  PpoBatch(List<PpoRollout> rollouts) {
    this(rollouts, offsets(rollouts));
  }

  private PpoBatch(List<PpoRollout> rollouts, int[] offsets) {
    this.rollouts = List.copyOf(rollouts);
    this.sequences = rollouts.stream().map(PpoRollout::tokens).toList();
    this.offsets = offsets;
    int tokens = offsets[rollouts.size()];
    this.proximalLogProbs = new float[tokens];
    this.oldValues = new float[tokens];
    this.weights = new float[tokens];
    this.advantages = new double[tokens];
    this.returns = new double[tokens];
    this.figures = new PpoIteration.Builder();
  }

  private static int[] offsets(List<PpoRollout> rollouts) {
    int[] offsets = new int[rollouts.size() + 1];
    for (int i = 0; i < rollouts.size(); i++) {
      offsets[i + 1] = offsets[i] + rollouts.get(i).response().length;
    }
    return offsets;
  }

  int size() {
    return rollouts.size();
  }

  /** Rollout i's part of per-token figures. */
  float[] of(int i, float[] perToken) {
    return Arrays.copyOfRange(perToken, offsets[i], offsets[i + 1]);
  }

  /** The parts of some of the rollouts, one after another. */
  float[] of(int[] members, float[] perToken) {
    float[] some = new float[tokens(members)];
    int at = 0;
    for (int i : members) {
      int length = offsets[i + 1] - offsets[i];
      System.arraycopy(perToken, offsets[i], some, at, length);
      at += length;
    }
    return some;
  }

  double[] of(int[] members, double[] perToken) {
    double[] some = new double[tokens(members)];
    int at = 0;
    for (int i : members) {
      int length = offsets[i + 1] - offsets[i];
      System.arraycopy(perToken, offsets[i], some, at, length);
      at += length;
    }
    return some;
  }

  /** Response tokens of some of the rollouts. */
  int tokens(int[] members) {
    return Arrays.stream(members).map(i -> offsets[i + 1] - offsets[i]).sum();
  }

  void write(DataOutput out) throws IOException {
    StateIo.writeList(out, rollouts, (data, rollout) -> rollout.write(data));
    out.writeInt(valued);
    StateIo.writeFloats(out, proximalLogProbs);
    StateIo.writeFloats(out, oldValues);
    StateIo.writeFloats(out, weights);
    StateIo.writeDoubles(out, advantages);
    StateIo.writeDoubles(out, returns);
    out.writeInt(updates);
    figures.write(out);
  }

  static PpoBatch read(DataInput in) throws IOException {
    PpoBatch batch = new PpoBatch(StateIo.readList(in, PpoRollout::read));
    batch.valued = in.readInt();
    read(in, batch.proximalLogProbs);
    read(in, batch.oldValues);
    read(in, batch.weights);
    batch.advantages = StateIo.readDoubles(in);
    batch.returns = StateIo.readDoubles(in);
    batch.updates = in.readInt();
    batch.figures = PpoIteration.Builder.read(in);
    return batch;
  }

  private static void read(DataInput in, float[] target) throws IOException {
    float[] values = StateIo.readFloats(in);
    if (values.length != target.length) {
      throw new IOException(
          "not a PPO batch: %d values for %d tokens".formatted(values.length, target.length));
    }
    System.arraycopy(values, 0, target, 0, target.length);
  }
}
