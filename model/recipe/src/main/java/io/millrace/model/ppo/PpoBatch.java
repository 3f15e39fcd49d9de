package io.millrace.model.ppo;

import io.millrace.model.llama.Targets;
import io.millrace.model.training.Checks;
import io.millrace.model.training.MicroBatches;
import java.util.Arrays;
import java.util.List;

/**
 * A PPO batch that is being learned from: b rollouts with t response tokens in all. Per-token
 * arrays are {@code [t]}, rollout after rollout. It is part of the trainer's state: a job that dies
 * between two updates continues with the second.
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

  /** As the policy's loss has them: where the method whitens them, whitened. */
  double[] advantages;

  /** The critic's targets; zeros without a critic, as are the old values. */
  double[] returns;

  /** Updates done of the batch. */
  int updates;

  /** Metrics of the batch so far. */
  PpoIteration.Builder metrics;

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
    this.metrics = new PpoIteration.Builder();
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

  /** The values of rollout i's tokens. */
  float[] of(int i, float[] perToken) {
    return Arrays.copyOfRange(perToken, offsets[i], offsets[i + 1]);
  }

  /** The values of some rollouts' tokens, one rollout after another. */
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
    return Arrays.stream(lengths(members)).sum();
  }

  /** Response tokens of each of some rollouts. */
  int[] lengths(int[] members) {
    return Arrays.stream(members).map(i -> offsets[i + 1] - offsets[i]).toArray();
  }

  /** Log-probs under π_0 of some rollouts' tokens, one rollout after another. */
  float[] referenceLogProbs(int[] members) {
    float[] some = new float[tokens(members)];
    int at = 0;
    for (int i : members) {
      float[] logProbs = rollouts.get(i).referenceLogProbs();
      System.arraycopy(logProbs, 0, some, at, logProbs.length);
      at += logProbs.length;
    }
    return some;
  }

  List<int[]> sequences(int[] members) {
    return Arrays.stream(members).mapToObj(sequences::get).toList();
  }

  /** The response tokens of some of the rollouts. */
  Targets targets(int[] members) {
    return Targets.from(
        sequences(members),
        Arrays.stream(members).map(i -> rollouts.get(i).prompt().length).toArray());
  }

  /** Parts of some of the rollouts that go through a model at once. */
  List<MicroBatches.Part> microBatches(int[] members, int tokens) {
    return MicroBatches.of(sequences(members), 1, tokens);
  }

  /** The batch and how far it got. */
  record State(
      List<PpoRollout> rollouts,
      int valued,
      float[] proximalLogProbs,
      float[] oldValues,
      float[] weights,
      double[] advantages,
      double[] returns,
      int updates,
      PpoIteration.Builder.State metrics) {}

  State state() {
    return new State(
        rollouts,
        valued,
        proximalLogProbs,
        oldValues,
        weights,
        advantages,
        returns,
        updates,
        metrics.state());
  }

  /**
   * @throws IllegalArgumentException if per-token arrays do not have the length of the responses
   */
  static PpoBatch of(State state) {
    PpoBatch batch = new PpoBatch(state.rollouts());
    batch.valued = state.valued();
    copy(state.proximalLogProbs(), batch.proximalLogProbs);
    copy(state.oldValues(), batch.oldValues);
    copy(state.weights(), batch.weights);
    copy(state.advantages(), batch.advantages);
    copy(state.returns(), batch.returns);
    batch.updates = state.updates();
    batch.metrics = PpoIteration.Builder.of(state.metrics());
    return batch;
  }

  private static void copy(double[] values, double[] target) {
    Checks.sameLength("values of a PPO batch", values.length, target.length);
    System.arraycopy(values, 0, target, 0, target.length);
  }

  private static void copy(float[] values, float[] target) {
    Checks.sameLength("values of a PPO batch", values.length, target.length);
    System.arraycopy(values, 0, target, 0, target.length);
  }
}
