package io.millrace.model.train;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.llama.Targets;
import io.millrace.model.rlhf.Advantages;
import io.millrace.model.rlhf.KlController;
import io.millrace.model.rlhf.KlPenalty;
import io.millrace.model.rlhf.PiecewiseReward;
import io.millrace.model.rlhf.PpoObjective;
import io.millrace.model.rlhf.Whitening;
import io.millrace.model.tensor.Backend;
import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
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
    PiecewiseReward piecewise = new PiecewiseReward(settings.safetyThreshold());
    double[] combined = new double[batch.size()];
    for (int i = 0; i < combined.length; i++) {
      PpoRollout rollout = batch.get(i);
      combined[i] =
          piecewise.combine(rollout.helpfulnessScore(), rollout.safetyScore(), rollout.isSafety());
    }
    double[] whitened = Whitening.whiten(combined);

    // Old values: the critic's as it stands at the batch's start, at the row before each token.
    List<int[]> sequences = batch.stream().map(PpoRollout::tokens).toList();
    int[] offsets = offsets(batch);
    float[] oldValues = values(batch, sequences);

    // Rewards per token, then advantages and returns; advantages are whitened, returns are not.
    int tokens = offsets[batch.size()];
    double[] kl = new double[batch.size()];
    double[] advantages = new double[tokens];
    double[] returns = new double[tokens];
    double[] oldLogProbs = new double[tokens];
    double beta = klController.coefficient();
    double penaltySum = 0;
    for (int i = 0; i < batch.size(); i++) {
      PpoRollout rollout = batch.get(i);
      double reward = whitened[i] - (rollout.truncated() ? settings.truncationPenalty() : 0);
      double[] rewards =
          KlPenalty.rewards(
              rollout.logProbs(),
              rollout.referenceLogProbs(),
              settings.klEstimator(),
              beta,
              reward);
      int length = rollout.response().length;
      double[] values = new double[length];
      for (int t = 0; t < length; t++) {
        values[t] = oldValues[offsets[i] + t];
        oldLogProbs[offsets[i] + t] = rollout.logProbs()[t];
        kl[i] += (double) rollout.logProbs()[t] - rollout.referenceLogProbs()[t];
        penaltySum += rewards[t];
      }
      penaltySum -= reward;
      Advantages gae = Advantages.of(rewards, values, settings.gamma(), settings.lambda());
      System.arraycopy(gae.advantages(), 0, advantages, offsets[i], length);
      System.arraycopy(gae.returns(), 0, returns, offsets[i], length);
    }
    advantages = Whitening.whiten(advantages);

    PpoIteration.Builder stats = new PpoIteration.Builder();
    for (int epoch = 0; epoch < settings.epochs(); epoch++) {
      int[] order = shuffled(batch.size(), epoch);
      for (int from = 0; from < order.length; from += settings.miniBatchSize()) {
        int to = Math.min(order.length, from + settings.miniBatchSize());
        update(
            batch,
            sequences,
            order,
            from,
            to,
            offsets,
            oldLogProbs,
            oldValues,
            advantages,
            returns,
            stats);
      }
    }
    iteration++;
    double meanKl = 0;
    for (double k : kl) {
      meanKl += k / kl.length;
    }
    klController.update(meanKl, batch.size());
    return stats.build(iteration, batch, combined, whitened, kl, penaltySum, beta);
  }

  private void update(
      List<PpoRollout> batch,
      List<int[]> sequences,
      int[] order,
      int from,
      int to,
      int[] offsets,
      double[] oldLogProbs,
      float[] oldValues,
      double[] advantages,
      double[] returns,
      PpoIteration.Builder stats) {
    List<PpoRollout> rollouts = new ArrayList<>();
    List<int[]> miniBatch = new ArrayList<>();
    int tokens = 0;
    for (int i = from; i < to; i++) {
      rollouts.add(batch.get(order[i]));
      miniBatch.add(sequences.get(order[i]));
      tokens += batch.get(order[i]).response().length;
    }
    int[] at = new int[tokens];
    int next = 0;
    for (int i = from; i < to; i++) {
      for (int t = offsets[order[i]]; t < offsets[order[i] + 1]; t++) {
        at[next++] = t;
      }
    }
    Targets targets = targets(rollouts, miniBatch);

    LanguageModel.TokenLogProbs now = policy.forward(miniBatch, targets, settings.temperature());
    float[] dLogProbs = new float[tokens];
    for (int t = 0; t < tokens; t++) {
      PpoObjective.PolicyTerm term =
          PpoObjective.policy(
              now.logProbs()[t], oldLogProbs[at[t]], advantages[at[t]], settings.clip());
      dLogProbs[t] = (float) (term.derivative() / tokens);
      stats.policyTerm(term, now.entropies()[t]);
    }
    policy.backward(policyOptimizer.gradients(), dLogProbs, new float[tokens]);
    Optimizer.Update policyUpdate = policyOptimizer.update();

    float[] values = critic.forward(miniBatch, targets.rows());
    float[] dValues = new float[tokens];
    for (int t = 0; t < tokens; t++) {
      PpoObjective.ValueTerm term =
          PpoObjective.value(values[t], oldValues[at[t]], returns[at[t]], settings.valueClip());
      dValues[t] = (float) (term.derivative() / tokens);
      stats.valueTerm(term);
    }
    critic.backward(criticOptimizer.gradients(), dValues);
    stats.update(policyUpdate, criticOptimizer.update());
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
