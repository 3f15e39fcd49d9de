package io.millrace.model.ppo;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.parallel.Ranks;
import io.millrace.model.training.MicroBatches;
import io.millrace.model.training.Optimizer;
import java.util.Arrays;

/**
 * Forward and backward pass of the policy over a mini-batch, or over this rank's share of it, and
 * the gradient's norm.
 */
final class PolicyPass implements Runnable {

  private final LanguageModel policy;
  private final Optimizer optimizer;
  private final PpoSettings settings;
  private final PpoBatch batch;
  private final int[] members;
  private final int[] share;
  private final double beta;

  /** Losses are means over the whole mini-batch, whatever part a token comes in. */
  private final int tokens;

  PolicyLoss loss = PolicyLoss.ZERO;
  double klLoss;
  double entropy;
  double norm;
  boolean finite = true;
  Optimizer.Update update;

  /**
   * @param members the mini-batch
   * @param share this rank's members of it
   * @param beta weight of the KL where it is a term of the loss
   */
  PolicyPass(
      LanguageModel policy,
      Optimizer optimizer,
      PpoSettings settings,
      PpoBatch batch,
      int[] members,
      int[] share,
      double beta) {
    this.policy = policy;
    this.optimizer = optimizer;
    this.settings = settings;
    this.batch = batch;
    this.members = members;
    this.share = share;
    this.beta = beta;
    this.tokens = batch.tokens(members);
  }

  @Override
  public void run() {
    for (MicroBatches.Part part : batch.microBatches(share, policy.partTokens())) {
      int[] some = Arrays.copyOfRange(share, part.from(), part.to());
      LanguageModel.TokenLogProbs now =
          policy.forward(batch.sequences(some), batch.targets(some), settings.temperature());
      finite = PpoTrainer.areFinite(now.logProbs());
      if (!finite) {
        break;
      }
      float[] weights = batch.of(some, batch.weights);
      float[] dLogProbs = new float[now.logProbs().length];
      PpoObjective.Part ofBatch =
          settings.objective().part(batch.lengths(some), tokens, members.length);
      loss =
          loss.plus(
              settings
                  .objective()
                  .policyLoss(
                      dLogProbs,
                      now.logProbs(),
                      batch.of(some, batch.proximalLogProbs),
                      weights,
                      batch.of(some, batch.advantages),
                      ofBatch));
      klLoss +=
          settings
              .klPenalty()
              .loss(
                  dLogProbs, now.logProbs(), batch.referenceLogProbs(some), weights, beta, ofBatch);
      // The loss has the term −c·H, with H the mean entropy, whose mean is that of the loss.
      float[] dEntropies = new float[dLogProbs.length];
      for (int t = 0; t < dEntropies.length; t++) {
        dEntropies[t] = (float) (-settings.entropyBonus() * ofBatch.shares()[t] / tokens);
      }
      policy.backward(optimizer.gradients(), dLogProbs, dEntropies);
      for (float e : now.entropies()) {
        entropy += e / tokens;
      }
    }
  }

  /**
   * Adds up what the ranks have, each of its share, and computes the gradient's norm. All ranks
   * have the same results then.
   */
  void reduce(Ranks ranks) {
    if (!ranks.isAlone()) {
      double[] sums = {
        finite ? 0 : 1,
        loss.loss(),
        loss.ratio(),
        loss.approximateKl(),
        loss.clipFraction(),
        loss.logRatiosClamped(),
        klLoss,
        entropy
      };
      ranks.sum(sums);
      finite = sums[0] == 0;
      loss = new PolicyLoss(sums[1], sums[2], sums[3], sums[4], (long) sums[5]);
      klLoss = sums[6];
      entropy = sums[7];
      optimizer.reduce();
    }
    norm = optimizer.gradientNorm();
    finite &= Double.isFinite(norm);
  }
}
