package io.millrace.model.reward;

import io.millrace.model.llama.ScalarModel;
import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Backend;
import io.millrace.model.training.Checks;
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
   * @param weight of the judgment in the loss, relative to others, at least 0
   */
  public record Pair(
      int[] preferred,
      int[] rejected,
      double margin,
      Boolean preferredUnsafe,
      Boolean rejectedUnsafe,
      double weight) {

    public Pair {
      Checks.that(weight >= 0 && Double.isFinite(weight), "weight", weight, "at least 0");
    }

    /** A judgment of weight 1. */
    public Pair(
        int[] preferred,
        int[] rejected,
        double margin,
        Boolean preferredUnsafe,
        Boolean rejectedUnsafe) {
      this(preferred, rejected, margin, preferredUnsafe, rejectedUnsafe, 1);
    }

    /** The same judgment with another weight. */
    public Pair withWeight(double other) {
      return new Pair(preferred, rejected, margin, preferredUnsafe, rejectedUnsafe, other);
    }
  }

  /**
   * The result of a step, as before its update.
   *
   * @param preferredScores scores of the preferred responses, {@code [pairs]}
   * @param rejectedScores scores of the rejected responses, {@code [pairs]}
   * @param loss weighted mean of the pairs' ranking loss; 0 if all weights are 0
   * @param labelLoss weighted loss of the labels, divided by the weights of all responses; 0
   *     without labels
   */
  public record Step(
      float[] preferredScores,
      float[] rejectedScores,
      double loss,
      double labelLoss,
      Optimizer.Update update) {}

  /**
   * Scores the pairs and makes one update on the weighted mean loss. With a score that is not
   * finite the loss is NaN, and nothing is updated. Nor is anything if all weights are 0.
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
    double weights = batch.stream().mapToDouble(Pair::weight).sum();
    // Without any weight all derivatives are 0, not 0 / 0.
    double total = weights == 0 ? 1 : weights;
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
        loss += pair.weight() * ranking.loss() / total;
        dScores[2 * i] += (float) (pair.weight() * ranking.dChosen() / total);
        dScores[2 * i + 1] += (float) (pair.weight() * ranking.dRejected() / total);
        labelLoss += label(pair.preferredUnsafe(), preferred, dScores, 2 * i, pair, total);
        labelLoss += label(pair.rejectedUnsafe(), rejected, dScores, 2 * i + 1, pair, total);
      }
      model.backward(optimizer.gradients(), dScores);
    }
    return new Step(
        preferredScores,
        rejectedScores,
        loss,
        labelLoss,
        weights == 0 ? optimizer.skip(0) : optimizer.update(learned, share));
  }

  /** A label counts the same however many others there are: losses are divided by the responses. */
  private double label(
      Boolean unsafe, float score, float[] dScores, int at, Pair pair, double weights) {
    if (unsafe == null) {
      return 0;
    }
    SafetyLabelLoss label = SafetyLabelLoss.of(score, !unsafe);
    double responses = 2 * weights;
    dScores[at] += (float) (labelWeight * pair.weight() * label.dScore() / responses);
    return pair.weight() * label.loss() / responses;
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
