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
 * 3.2.2, equation 2) and the auxiliary safety loss (appendix A.3.3, table 29). The loss of an
 * ensemble is the mean of its heads' losses, in which each head weights the judgments by {@link
 * HeadWeights}.
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
   * @param draw number by which the heads of an ensemble draw their weights, see {@link
   *     HeadWeights}
   */
  public record Pair(
      int[] preferred,
      int[] rejected,
      double margin,
      Boolean preferredUnsafe,
      Boolean rejectedUnsafe,
      double weight,
      long draw) {

    public Pair {
      Checks.that(weight >= 0 && Double.isFinite(weight), "weight", weight, "at least 0");
    }

    /** A judgment of weight 1, for a single head. */
    public Pair(
        int[] preferred,
        int[] rejected,
        double margin,
        Boolean preferredUnsafe,
        Boolean rejectedUnsafe) {
      this(preferred, rejected, margin, preferredUnsafe, rejectedUnsafe, 1, 0);
    }

    /** The same judgment with another weight. */
    public Pair withWeight(double other) {
      return new Pair(preferred, rejected, margin, preferredUnsafe, rejectedUnsafe, other, draw);
    }

    /** The same judgment with another number to draw by. */
    public Pair withDraw(long other) {
      return new Pair(preferred, rejected, margin, preferredUnsafe, rejectedUnsafe, weight, other);
    }
  }

  /**
   * A response with a safety label and without another response to rank it against.
   *
   * @param tokens prompt and response
   * @param weight of the label in the loss, relative to others, at least 0
   * @param draw as for {@link Pair}
   */
  public record Labelled(int[] tokens, boolean unsafe, double weight, long draw) {
    public Labelled {
      Checks.that(weight >= 0 && Double.isFinite(weight), "weight", weight, "at least 0");
    }
  }

  /**
   * The result of a step, as before its update.
   *
   * @param preferredScores scores of the preferred responses, {@code [pairs]}; means of the heads
   * @param rejectedScores scores of the rejected responses, {@code [pairs]}; means of the heads
   * @param disagreements standard deviation over the heads of the difference of scores, {@code
   *     [pairs]}; empty for one head
   * @param loss weighted mean of the pairs' ranking loss, mean of the heads; 0 if all weights are 0
   * @param labelledScores scores of the responses without a pair, {@code [labelled]}; means of the
   *     heads
   * @param labelLoss weighted loss of the labels, divided by the weights of all responses; 0
   *     without labels
   */
  public record Step(
      float[] preferredScores,
      float[] rejectedScores,
      float[] labelledScores,
      float[] disagreements,
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
    return step(batch, List.of(), learned, share);
  }

  /**
   * As {@link #step(List, long, double)}, with responses that have a label and no pair. Each counts
   * as one of the responses that the loss of the labels is divided by.
   */
  public Step step(List<Pair> batch, List<Labelled> labelled, long learned, double share) {
    List<int[]> sequences = new ArrayList<>();
    for (Pair pair : batch) {
      sequences.add(pair.preferred());
      sequences.add(pair.rejected());
    }
    float[] preferredScores = new float[batch.size()];
    float[] rejectedScores = new float[batch.size()];
    int heads = model.heads();
    float[] disagreements = new float[heads == 1 ? 0 : batch.size()];
    float[] labelledScores = new float[labelled.size()];
    double weights = batch.stream().mapToDouble(Pair::weight).sum();
    double labelWeights = labelled.stream().mapToDouble(Labelled::weight).sum();
    // Without any weight all derivatives are 0, not 0 / 0.
    double total = weights == 0 ? 1 : weights;
    double responses = weights + labelWeights == 0 ? 2 : 2 * weights + labelWeights;
    double loss = 0;
    double labelLoss = 0;
    for (Part part : MicroBatches.of(sequences, 2, model.partTokens())) {
      List<int[]> partSequences = sequences.subList(2 * part.from(), 2 * part.to());
      float[] scores = model.forward(partSequences, lastRows(partSequences));
      float[] means = ScalarModel.means(scores, heads);
      float[] dScores = new float[scores.length];
      for (int i = 0; i < part.size(); i++) {
        Pair pair = batch.get(part.from() + i);
        if (!areFinite(scores, 2 * i * heads, 2 * heads)) {
          return notFinite(preferredScores, rejectedScores, labelledScores, disagreements);
        }
        preferredScores[part.from() + i] = means[2 * i];
        rejectedScores[part.from() + i] = means[2 * i + 1];
        if (heads > 1) {
          disagreements[part.from() + i] = (float) disagreement(scores, 2 * i * heads, heads);
        }
        for (int head = 0; head < heads; head++) {
          double weight = pair.weight() * HeadWeights.of(pair.draw(), head, heads) / heads;
          int atPreferred = 2 * i * heads + head;
          int atRejected = (2 * i + 1) * heads + head;
          float preferred = scores[atPreferred];
          float rejected = scores[atRejected];
          RankingLoss ranking = RankingLoss.of(preferred, rejected, pair.margin());
          loss += weight * ranking.loss() / total;
          dScores[atPreferred] += (float) (weight * ranking.dChosen() / total);
          dScores[atRejected] += (float) (weight * ranking.dRejected() / total);
          labelLoss +=
              label(pair.preferredUnsafe(), preferred, dScores, atPreferred, weight, responses);
          labelLoss +=
              label(pair.rejectedUnsafe(), rejected, dScores, atRejected, weight, responses);
        }
      }
      model.backward(optimizer.gradients(), dScores);
    }
    List<int[]> alone = labelled.stream().map(Labelled::tokens).toList();
    for (Part part : MicroBatches.of(alone, 1, model.partTokens())) {
      List<int[]> partSequences = alone.subList(part.from(), part.to());
      float[] scores = model.forward(partSequences, lastRows(partSequences));
      float[] means = ScalarModel.means(scores, heads);
      float[] dScores = new float[scores.length];
      if (!areFinite(scores, 0, scores.length)) {
        return notFinite(preferredScores, rejectedScores, labelledScores, disagreements);
      }
      for (int i = 0; i < part.size(); i++) {
        Labelled one = labelled.get(part.from() + i);
        labelledScores[part.from() + i] = means[i];
        for (int head = 0; head < heads; head++) {
          double weight = one.weight() * HeadWeights.of(one.draw(), head, heads) / heads;
          int at = i * heads + head;
          labelLoss += label(one.unsafe(), scores[at], dScores, at, weight, responses);
        }
      }
      model.backward(optimizer.gradients(), dScores);
    }
    return new Step(
        preferredScores,
        rejectedScores,
        labelledScores,
        disagreements,
        loss,
        labelLoss,
        weights + labelWeights == 0 ? optimizer.skip(0) : optimizer.update(learned, share));
  }

  private Step notFinite(
      float[] preferredScores,
      float[] rejectedScores,
      float[] labelledScores,
      float[] disagreements) {
    return new Step(
        preferredScores,
        rejectedScores,
        labelledScores,
        disagreements,
        Double.NaN,
        Double.NaN,
        optimizer.skip(Double.NaN));
  }

  /** A label counts the same however many others there are: losses are divided by the responses. */
  private double label(
      Boolean unsafe, float score, float[] dScores, int at, double weight, double responses) {
    if (unsafe == null) {
      return 0;
    }
    SafetyLabelLoss label = SafetyLabelLoss.of(score, !unsafe);
    dScores[at] += (float) (labelWeight * weight * label.dScore() / responses);
    return weight * label.loss() / responses;
  }

  private static boolean areFinite(float[] scores, int from, int count) {
    for (int i = from; i < from + count; i++) {
      if (!Float.isFinite(scores[i])) {
        return false;
      }
    }
    return true;
  }

  /** Standard deviation over the heads of r_c − r_r, from the scores of a pair. */
  private static double disagreement(float[] scores, int from, int heads) {
    float[] differences = new float[heads];
    for (int head = 0; head < heads; head++) {
      differences[head] = scores[from + head] - scores[from + heads + head];
    }
    return AnchoredScores.deviation(differences);
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
