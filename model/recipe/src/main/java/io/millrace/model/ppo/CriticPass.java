package io.millrace.model.ppo;

import io.millrace.model.llama.ScalarModel;
import io.millrace.model.parallel.Ranks;
import io.millrace.model.training.MicroBatches;
import io.millrace.model.training.Optimizer;
import java.util.Arrays;

/**
 * Forward and backward pass of the critic over a mini-batch, or over this rank's share of it, and
 * the gradient's norm.
 */
final class CriticPass implements Runnable {

  private final ScalarModel critic;
  private final Optimizer optimizer;
  private final PpoSettings settings;
  private final PpoBatch batch;
  private final int[] share;

  /** Losses are means over all response tokens of the mini-batch, whatever part they come in. */
  private final int tokens;

  ValueLoss loss = ValueLoss.ZERO;
  double norm;
  boolean finite = true;
  Optimizer.Update update;

  /**
   * @param members the mini-batch
   * @param share this rank's members of it
   */
  CriticPass(
      ScalarModel critic,
      Optimizer optimizer,
      PpoSettings settings,
      PpoBatch batch,
      int[] members,
      int[] share) {
    this.critic = critic;
    this.optimizer = optimizer;
    this.settings = settings;
    this.batch = batch;
    this.share = share;
    this.tokens = batch.tokens(members);
  }

  @Override
  public void run() {
    for (MicroBatches.Part part : batch.microBatches(share, critic.partTokens())) {
      int[] some = Arrays.copyOfRange(share, part.from(), part.to());
      float[] values = critic.forward(batch.sequences(some), batch.targets(some).rows());
      finite = PpoTrainer.areFinite(values);
      if (!finite) {
        break;
      }
      float[] dValues = new float[values.length];
      loss =
          loss.plus(
              settings
                  .objective()
                  .valueLoss(
                      dValues,
                      values,
                      batch.of(some, batch.oldValues),
                      batch.of(some, batch.returns),
                      tokens));
      critic.backward(optimizer.gradients(), dValues);
    }
  }

  /** As {@link PolicyPass#reduce}. */
  void reduce(Ranks ranks) {
    if (!ranks.isAlone()) {
      double[] sums = {finite ? 0 : 1, loss.loss(), loss.clipFraction()};
      ranks.sum(sums);
      finite = sums[0] == 0;
      loss = new ValueLoss(sums[1], sums[2]);
      optimizer.reduce();
    }
    norm = optimizer.gradientNorm();
    finite &= Double.isFinite(norm);
  }
}
