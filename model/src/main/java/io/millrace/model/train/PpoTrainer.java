package io.millrace.model.train;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.llama.Targets;
import io.millrace.model.rlhf.Advantages;
import io.millrace.model.rlhf.KlController;
import io.millrace.model.rlhf.KlEstimator;
import io.millrace.model.rlhf.PolicyLoss;
import io.millrace.model.rlhf.ValueLoss;
import io.millrace.model.rlhf.Whitening;
import io.millrace.model.tensor.Backend;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * PPO on a batch of scored rollouts, top to bottom: piecewise reward, whitening, KL penalty,
 * advantages, clipped updates of policy and critic.
 *
 * <p>The batch is b rollouts with t response tokens in all; per-token arrays are {@code [t]},
 * rollout after rollout.
 */
public final class PpoTrainer implements AutoCloseable {

  private final LanguageModel policy;
  private final ScalarModel critic;
  private final Optimizer policyOptimizer;
  private final Optimizer criticOptimizer;
  private final PpoSettings settings;
  private final KlController klController;
  private long iteration;

  public PpoTrainer(
      Backend backend,
      LanguageModel policy,
      ScalarModel critic,
      PpoSettings settings,
      KlController klController) {
    this.policy = policy;
    this.critic = critic;
    this.policyOptimizer =
        new Optimizer(backend, policy.weights(), settings.adamW(), settings.learningRate());
    this.criticOptimizer =
        new Optimizer(backend, critic.weights(), settings.adamW(), settings.criticLearningRate());
    this.settings = settings;
    this.klController = klController;
  }

  /** One iteration: all updates of one PPO batch. */
  public PpoIteration iterate(List<PpoRollout> batch) {
    // R̃_c = WHITEN(LOGIT(R_c)), whitened over the batch.
    double[] combined = new double[batch.size()];
    for (int i = 0; i < combined.length; i++) {
      PpoRollout rollout = batch.get(i);
      combined[i] =
          settings
              .piecewise()
              .combine(rollout.helpfulnessScore(), rollout.safetyScore(), rollout.isSafety());
    }
    double[] whitened = Whitening.defaults().whiten(combined);

    // Old values: the critic's as it stands at the batch's start, at the row before each token.
    List<int[]> sequences = batch.stream().map(PpoRollout::tokens).toList();
    int[] offsets = offsets(batch);
    int tokens = offsets[batch.size()];
    float[] oldValues = values(batch, sequences);

    // Rewards per token, then advantages and returns; advantages are whitened, returns are not.
    double[] kl = new double[batch.size()];
    double[] advantages = new double[tokens];
    double[] returns = new double[tokens];
    float[] oldLogProbs = new float[tokens];
    double beta = klController.beta();
    double rewardSum = 0;
    for (int i = 0; i < batch.size(); i++) {
      PpoRollout rollout = batch.get(i);
      int at = offsets[i];
      int length = rollout.response().length;
      double[] rewards =
          settings
              .klPenalty()
              .rewards(
                  rollout.logProbs(),
                  rollout.referenceLogProbs(),
                  whitened[i],
                  rollout.truncated(),
                  beta);
      rewardSum += Arrays.stream(rewards).sum();
      kl[i] = KlEstimator.K1.sum(rollout.logProbs(), rollout.referenceLogProbs());
      Advantages.Estimate estimate =
          settings.advantages().estimate(rewards, Arrays.copyOfRange(oldValues, at, at + length));
      System.arraycopy(estimate.advantages(), 0, advantages, at, length);
      System.arraycopy(estimate.returns(), 0, returns, at, length);
      System.arraycopy(rollout.logProbs(), 0, oldLogProbs, at, length);
    }
    advantages = Whitening.defaults().whiten(advantages);

    PpoIteration.Builder stats = new PpoIteration.Builder();
    TokenTargets learned = new TokenTargets(offsets, oldLogProbs, oldValues, advantages, returns);
    for (int epoch = 0; epoch < settings.epochs(); epoch++) {
      int[] order = shuffled(batch.size(), epoch);
      for (int from = 0; from < order.length; from += settings.miniBatchSize()) {
        int to = Math.min(order.length, from + settings.miniBatchSize());
        update(batch, sequences, Arrays.copyOfRange(order, from, to), learned, stats);
      }
    }
    iteration++;
    klController.update(Arrays.stream(kl).average().orElseThrow(), batch.size());
    return stats.build(iteration, batch, combined, whitened, kl, rewardSum, beta);
  }

  /**
   * What a batch's tokens are learned from.
   *
   * @param offsets where each rollout's tokens begin, {@code [b + 1]}
   */
  private record TokenTargets(
      int[] offsets,
      float[] oldLogProbs,
      float[] oldValues,
      double[] advantages,
      double[] returns) {

    /** Those of some of the rollouts, one after another. */
    TokenTargets of(int[] rollouts) {
      int count = Arrays.stream(rollouts).map(i -> offsets[i + 1] - offsets[i]).sum();
      TokenTargets some =
          new TokenTargets(
              new int[rollouts.length + 1],
              new float[count],
              new float[count],
              new double[count],
              new double[count]);
      for (int i = 0; i < rollouts.length; i++) {
        int from = offsets[rollouts[i]];
        int length = offsets[rollouts[i] + 1] - from;
        int to = some.offsets[i];
        System.arraycopy(oldLogProbs, from, some.oldLogProbs, to, length);
        System.arraycopy(oldValues, from, some.oldValues, to, length);
        System.arraycopy(advantages, from, some.advantages, to, length);
        System.arraycopy(returns, from, some.returns, to, length);
        some.offsets[i + 1] = to + length;
      }
      return some;
    }
  }

  private void update(
      List<PpoRollout> batch,
      List<int[]> sequences,
      int[] members,
      TokenTargets batchTargets,
      PpoIteration.Builder stats) {
    List<PpoRollout> rollouts = Arrays.stream(members).mapToObj(batch::get).toList();
    List<int[]> miniBatch = Arrays.stream(members).mapToObj(sequences::get).toList();
    TokenTargets learned = batchTargets.of(members);
    Targets targets = targets(rollouts, miniBatch);
    int tokens = targets.count();

    LanguageModel.TokenLogProbs now = policy.forward(miniBatch, targets, settings.temperature());
    float[] dLogProbs = new float[tokens];
    PolicyLoss policyLoss =
        settings
            .objective()
            .policyLoss(
                dLogProbs, now.logProbs(), learned.oldLogProbs(), learned.advantages(), tokens);
    policy.backward(policyOptimizer.gradients(), dLogProbs, new float[tokens]);
    Optimizer.Update policyUpdate = policyOptimizer.update();

    float[] values = critic.forward(miniBatch, targets.rows());
    float[] dValues = new float[tokens];
    ValueLoss valueLoss =
        settings
            .objective()
            .valueLoss(dValues, values, learned.oldValues(), learned.returns(), tokens);
    critic.backward(criticOptimizer.gradients(), dValues);
    stats.add(policyLoss, valueLoss, now.entropies(), policyUpdate, criticOptimizer.update());
  }

  private static int[] offsets(List<PpoRollout> batch) {
    int[] offsets = new int[batch.size() + 1];
    for (int i = 0; i < batch.size(); i++) {
      offsets[i + 1] = offsets[i] + batch.get(i).response().length;
    }
    return offsets;
  }

  private float[] values(List<PpoRollout> batch, List<int[]> sequences) {
    float[] values = new float[offsets(batch)[batch.size()]];
    int at = 0;
    for (MicroBatches.Part part : MicroBatches.of(sequences, 1)) {
      List<int[]> partSequences = sequences.subList(part.from(), part.to());
      Targets targets = targets(batch.subList(part.from(), part.to()), partSequences);
      float[] partValues = critic.infer(partSequences, targets.rows());
      System.arraycopy(partValues, 0, values, at, partValues.length);
      at += partValues.length;
    }
    return values;
  }

  private static Targets targets(List<PpoRollout> rollouts, List<int[]> sequences) {
    return Targets.from(
        sequences, rollouts.stream().mapToInt(rollout -> rollout.prompt().length).toArray());
  }

  /**
   * The order of rollouts, from the seed, the iteration and the pass: a resumed run's is the same.
   */
  private int[] shuffled(int size, int epoch) {
    SplittableRandom random =
        new SplittableRandom(settings.seed() ^ (iteration * 31 + epoch) * 0x9E3779B97F4A7C15L);
    int[] order = new int[size];
    for (int i = 0; i < size; i++) {
      int j = random.nextInt(i + 1);
      order[i] = order[j];
      order[j] = i;
    }
    return order;
  }

  public LanguageModel policy() {
    return policy;
  }

  public ScalarModel critic() {
    return critic;
  }

  /** Iterations so far. */
  public long iteration() {
    return iteration;
  }

  /** Updates of the policy so far. */
  public long steps() {
    return policyOptimizer.step();
  }

  public void write(DataOutput out) throws IOException {
    out.writeLong(iteration);
    klController.write(out);
    policyOptimizer.write(out);
    criticOptimizer.write(out);
  }

  public void read(DataInput in) throws IOException {
    iteration = in.readLong();
    klController.read(in);
    policyOptimizer.read(in);
    criticOptimizer.read(in);
  }

  @Override
  public void close() {
    policyOptimizer.close();
    criticOptimizer.close();
    policy.close();
    critic.close();
  }
}
