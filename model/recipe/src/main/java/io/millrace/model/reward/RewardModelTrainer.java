package io.millrace.model.reward;

import io.millrace.model.llama.ScalarModel;
import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Backend;
import io.millrace.model.training.LearningRate;
import io.millrace.model.training.MicroBatches;
import io.millrace.model.training.MicroBatches.Part;
import io.millrace.model.training.Optimizer;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * A reward model learning from judgments (Llama 2, arXiv 2307.09288, section 3.2.2, equation 2, and
 * the auxiliary safety loss of table 29).
 */
public final class RewardModelTrainer implements AutoCloseable {

  private final ScalarModel model;
  private final Optimizer optimizer;
  private final double labelWeight;

  /**
   * A trainer without moments or counters yet.
   *
   * @param learningRate by judgments learned from, not by updates: batches differ in size
   * @param labelWeight of the loss on safety labels beside the ranking loss
   */
  public RewardModelTrainer(
      Backend backend,
      ScalarModel model,
      AdamW adamW,
      LearningRate learningRate,
      double labelWeight) {
    this.model = model;
    this.optimizer = new Optimizer(backend, model.weights(), adamW, learningRate);
    this.labelWeight = labelWeight;
  }

  /**
   * A judgment in tokens.
   *
   * @param preferred prompt and preferred response
   * @param rejected prompt and rejected response
   * @param margin m(rating)
   * @param preferredUnsafe the preferred response's safety label, null where nobody gave one
   * @param rejectedUnsafe the rejected response's
   */
  public record Pair(
      int[] preferred,
      int[] rejected,
      double margin,
      Boolean preferredUnsafe,
      Boolean rejectedUnsafe) {}

  /**
   * What a step saw, before it learned, and did.
   *
   * @param preferredScores the scores before the update, {@code [pairs]}
   * @param rejectedScores likewise
   * @param loss mean ranking loss of the pairs
   * @param labelLoss mean loss over the labels, 0 where there are none
   */
  public record Step(
      float[] preferredScores,
      float[] rejectedScores,
      double loss,
      double labelLoss,
      Optimizer.Update update) {}

  /**
   * Scores the pairs, then learns from them: one update on the mean loss.
   *
   * @param learned judgments learned from in all, this batch's included: where the learning rate's
   *     schedule stands
   */
  public Step step(List<Pair> batch, long learned) {
    List<int[]> sequences = new ArrayList<>();
    int labels = 0;
    for (Pair pair : batch) {
      sequences.add(pair.preferred());
      sequences.add(pair.rejected());
      labels += (pair.preferredUnsafe() != null ? 1 : 0) + (pair.rejectedUnsafe() != null ? 1 : 0);
    }
    float[] preferredScores = new float[batch.size()];
    float[] rejectedScores = new float[batch.size()];
    double loss = 0;
    double labelLoss = 0;
    for (Part part : MicroBatches.of(sequences, 2, model.partTokens())) {
      List<int[]> partSequences = sequences.subList(2 * part.from(), 2 * part.to());
      float[] scores = model.forward(partSequences, lastRows(partSequences));
      float[] dScores = new float[scores.length];
      for (int i = 0; i < part.size(); i++) {
        Pair pair = batch.get(part.from() + i);
        float preferred = scores[2 * i];
        float rejected = scores[2 * i + 1];
        preferredScores[part.from() + i] = preferred;
        rejectedScores[part.from() + i] = rejected;
        RankingLoss ranking = RankingLoss.of(preferred, rejected, pair.margin());
        loss += ranking.loss() / batch.size();
        dScores[2 * i] += (float) (ranking.dChosen() / batch.size());
        dScores[2 * i + 1] += (float) (ranking.dRejected() / batch.size());
        labelLoss += label(pair.preferredUnsafe(), preferred, dScores, 2 * i, labels);
        labelLoss += label(pair.rejectedUnsafe(), rejected, dScores, 2 * i + 1, labels);
      }
      model.backward(optimizer.gradients(), dScores);
    }
    return new Step(preferredScores, rejectedScores, loss, labelLoss, optimizer.update(learned));
  }

  private double label(Boolean unsafe, float score, float[] dScores, int at, int labels) {
    if (unsafe == null) {
      return 0;
    }
    SafetyLabelLoss label = SafetyLabelLoss.of(score, !unsafe);
    dScores[at] += (float) (labelWeight * label.dScore() / labels);
    return label.loss() / labels;
  }

  private static int[] lastRows(List<int[]> sequences) {
    int[] rows = new int[sequences.size()];
    int end = 0;
    for (int i = 0; i < rows.length; i++) {
      end += sequences.get(i).length;
      rows[i] = end - 1;
    }
    return rows;
  }

  public ScalarModel model() {
    return model;
  }

  /** Updates so far. */
  public long steps() {
    return optimizer.step();
  }

  public void write(StateWriter out) throws IOException {
    optimizer.write(out);
  }

  public void read(StateReader in) throws IOException {
    optimizer.read(in);
  }

  @Override
  public void close() {
    optimizer.close();
    model.close();
  }
}
