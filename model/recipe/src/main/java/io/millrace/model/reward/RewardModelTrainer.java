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
 * Trains a reward model on judgments with the ranking loss (Llama 2, arXiv 2307.09288, section
 * 3.2.2, equation 2) and the auxiliary safety loss (appendix A.3.3, table 29).
 */
public final class RewardModelTrainer implements AutoCloseable {

  private final ScalarModel model;
  private final Optimizer optimizer;
  private final double labelWeight;

  /**
   * A trainer before its first step.
   *
   * @param learningRate a schedule whose steps are judgments, since batches differ in size
   * @param labelWeight weight of the loss on safety labels beside the ranking loss
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
   * @param preferredUnsafe safety label of the preferred response, or null
   * @param rejectedUnsafe safety label of the rejected response, or null
   */
  public record Pair(
      int[] preferred,
      int[] rejected,
      double margin,
      Boolean preferredUnsafe,
      Boolean rejectedUnsafe) {}

  /**
   * The result of a step, as before its update.
   *
   * @param preferredScores scores of the preferred responses, {@code [pairs]}
   * @param rejectedScores scores of the rejected responses, {@code [pairs]}
   * @param loss mean ranking loss of the pairs
   * @param labelLoss loss of the labels, divided by the number of responses; 0 without labels
   */
  public record Step(
      float[] preferredScores,
      float[] rejectedScores,
      double loss,
      double labelLoss,
      Optimizer.Update update) {}

  /**
   * Scores the pairs and makes one update on the mean loss. With a score that is not finite the
   * loss is NaN, and nothing is updated.
   *
   * @param learned number of judgments learned from so far, with this batch: the step of the
   *     learning rate's schedule
   * @param share of a full batch that these pairs are, above 0 to 1: the update's step shrinks with
   *     it
   */
  public Step step(List<Pair> batch, long learned, double share) {
    List<int[]> sequences = new ArrayList<>();
    for (Pair pair : batch) {
      sequences.add(pair.preferred());
      sequences.add(pair.rejected());
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
        if (!Float.isFinite(preferred) || !Float.isFinite(rejected)) {
          return new Step(
              preferredScores, rejectedScores, Double.NaN, Double.NaN, optimizer.skip(Double.NaN));
        }
        preferredScores[part.from() + i] = preferred;
        rejectedScores[part.from() + i] = rejected;
        RankingLoss ranking = RankingLoss.of(preferred, rejected, pair.margin());
        loss += ranking.loss() / batch.size();
        dScores[2 * i] += (float) (ranking.dChosen() / batch.size());
        dScores[2 * i + 1] += (float) (ranking.dRejected() / batch.size());
        labelLoss += label(pair.preferredUnsafe(), preferred, dScores, 2 * i, sequences.size());
        labelLoss += label(pair.rejectedUnsafe(), rejected, dScores, 2 * i + 1, sequences.size());
      }
      model.backward(optimizer.gradients(), dScores);
    }
    return new Step(
        preferredScores, rejectedScores, loss, labelLoss, optimizer.update(learned, share));
  }

  /** A label counts the same however many others there are: losses are divided by the responses. */
  private double label(Boolean unsafe, float score, float[] dScores, int at, int responses) {
    if (unsafe == null) {
      return 0;
    }
    SafetyLabelLoss label = SafetyLabelLoss.of(score, !unsafe);
    dScores[at] += (float) (labelWeight * label.dScore() / responses);
    return label.loss() / responses;
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
