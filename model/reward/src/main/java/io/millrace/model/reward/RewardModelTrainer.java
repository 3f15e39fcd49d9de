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
    Sums sums = new Sums(batch, labelled, model.heads());
    boolean finite = learnPairs(batch, sums) && learnLabels(labelled, sums);
    if (!finite) {
      return sums.step(Double.NaN, Double.NaN, optimizer.skip(Double.NaN));
    }
    return sums.step(
        sums.loss,
        sums.labelLoss,
        sums.weights == 0 ? optimizer.skip(0) : optimizer.update(learned, share));
  }

  /** Scores and losses of a step, as they come from its parts. */
  private static final class Sums {
    final float[] preferredScores;
    final float[] rejectedScores;
    final float[] labelledScores;
    final float[] disagreements;

    /** Weights of the pairs and of the labelled responses. */
    final double weights;

    /** Divides the ranking losses. */
    final double pairs;

    /** Divides the losses of the labels. */
    final double responses;

    double loss;
    double labelLoss;

    Sums(List<Pair> batch, List<Labelled> labelled, int heads) {
      preferredScores = new float[batch.size()];
      rejectedScores = new float[batch.size()];
      labelledScores = new float[labelled.size()];
      disagreements = new float[heads == 1 ? 0 : batch.size()];
      double ofPairs = batch.stream().mapToDouble(Pair::weight).sum();
      double ofLabelled = labelled.stream().mapToDouble(Labelled::weight).sum();
      weights = ofPairs + ofLabelled;
      // Without any weight all derivatives are 0, not 0 / 0.
      pairs = ofPairs == 0 ? 1 : ofPairs;
      responses = weights == 0 ? 2 : 2 * ofPairs + ofLabelled;
    }

    Step step(double rankingLoss, double lossOfLabels, Optimizer.Update update) {
      return new Step(
          preferredScores,
          rejectedScores,
          labelledScores,
          disagreements,
          rankingLoss,
          lossOfLabels,
          update);
    }
  }

  /**
   * Adds the gradients of the pairs.
   *
   * @return false at a score that is not finite
   */
  private boolean learnPairs(List<Pair> batch, Sums sums) {
    int heads = model.heads();
    List<int[]> sequences = new ArrayList<>();
    for (Pair pair : batch) {
      sequences.add(pair.preferred());
      sequences.add(pair.rejected());
    }
    for (Part part : MicroBatches.of(sequences, 2, model.partTokens())) {
      List<int[]> partSequences = sequences.subList(2 * part.from(), 2 * part.to());
      float[] scores = model.forward(partSequences, lastRows(partSequences));
      float[] means = ScalarModel.means(scores, heads);
      float[] dScores = new float[scores.length];
      for (int i = 0; i < part.size(); i++) {
        if (!areFinite(scores, 2 * i * heads, 2 * heads)) {
          return false;
        }
        Pair pair = batch.get(part.from() + i);
        sums.preferredScores[part.from() + i] = means[2 * i];
        sums.rejectedScores[part.from() + i] = means[2 * i + 1];
        if (heads > 1) {
          sums.disagreements[part.from() + i] = (float) disagreement(scores, 2 * i * heads, heads);
        }
        for (int head = 0; head < heads; head++) {
          double weight = pair.weight() * HeadWeights.of(pair.draw(), head, heads) / heads;
          int preferred = 2 * i * heads + head;
          int rejected = (2 * i + 1) * heads + head;
          RankingLoss ranking = RankingLoss.of(scores[preferred], scores[rejected], pair.margin());
          sums.loss += weight * ranking.loss() / sums.pairs;
          dScores[preferred] += (float) (weight * ranking.dChosen() / sums.pairs);
          dScores[rejected] += (float) (weight * ranking.dRejected() / sums.pairs);
          addLabel(pair.preferredUnsafe(), scores, dScores, preferred, weight, sums);
          addLabel(pair.rejectedUnsafe(), scores, dScores, rejected, weight, sums);
        }
      }
      model.backward(optimizer.gradients(), dScores);
    }
    return true;
  }

  /**
   * Adds the gradients of the responses without a pair.
   *
   * @return false at a score that is not finite
   */
  private boolean learnLabels(List<Labelled> labelled, Sums sums) {
    int heads = model.heads();
    List<int[]> sequences = labelled.stream().map(Labelled::tokens).toList();
    for (Part part : MicroBatches.of(sequences, 1, model.partTokens())) {
      List<int[]> partSequences = sequences.subList(part.from(), part.to());
      float[] scores = model.forward(partSequences, lastRows(partSequences));
      if (!areFinite(scores, 0, scores.length)) {
        return false;
      }
      float[] means = ScalarModel.means(scores, heads);
      float[] dScores = new float[scores.length];
      for (int i = 0; i < part.size(); i++) {
        Labelled one = labelled.get(part.from() + i);
        sums.labelledScores[part.from() + i] = means[i];
        for (int head = 0; head < heads; head++) {
          double weight = one.weight() * HeadWeights.of(one.draw(), head, heads) / heads;
          addLabel(one.unsafe(), scores, dScores, i * heads + head, weight, sums);
        }
      }
      model.backward(optimizer.gradients(), dScores);
    }
    return true;
  }

  /** A label counts the same however many others there are: losses are divided by the responses. */
  private void addLabel(
      Boolean unsafe, float[] scores, float[] dScores, int at, double weight, Sums sums) {
    if (unsafe == null) {
      return;
    }
    SafetyLabelLoss label = SafetyLabelLoss.of(scores[at], !unsafe);
    dScores[at] += (float) (labelWeight * weight * label.dScore() / sums.responses);
    sums.labelLoss += weight * label.loss() / sums.responses;
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
