package io.millrace.model.preference;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.Targets;
import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Backend;
import io.millrace.model.training.LearningRate;
import io.millrace.model.training.MicroBatches;
import io.millrace.model.training.Optimizer;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Trains a policy on preferences with DPO, IPO or KTO. Log-probs under π_0 come with each example:
 * no reference policy is needed here.
 */
public final class PreferenceTrainer implements AutoCloseable {

  private final LanguageModel model;
  private final Optimizer optimizer;
  private final PreferenceSettings settings;

  public PreferenceTrainer(
      Backend backend,
      LanguageModel model,
      AdamW adamW,
      LearningRate learningRate,
      PreferenceSettings settings) {
    this.model = model;
    this.optimizer = new Optimizer(backend, model.weights(), adamW, learningRate);
    this.settings = settings;
  }

  /**
   * Two responses to a prompt, of which one was chosen.
   *
   * @param margin m(rating), at least 0
   * @param chosenReference log π_0 of the chosen response
   * @param rejectedReference log π_0 of the rejected response
   */
  public record Pair(
      Response chosen,
      Response rejected,
      double margin,
      double chosenReference,
      double rejectedReference) {}

  /**
   * A response that is desirable or not.
   *
   * @param reference log π_0 of the response
   */
  public record Label(Response response, boolean desirable, double reference) {}

  /**
   * The result of a step, as before its update.
   *
   * @param loss mean over the pairs or labels; NaN if a log-prob was not finite
   * @param logProbs log π of each response, {@code [responses]}; a pair's chosen response stands
   *     before its rejected one
   * @param referencePoint z_0 of KTO; 0 for pairs
   */
  public record Step(
      double loss, double[] logProbs, double referencePoint, Optimizer.Update update) {}

  /** The derivatives of one example's loss by the log-probs of its responses. */
  private interface Example {
    /**
     * @param logProbs of all responses of the batch
     * @param slopes of all responses of the batch, to be written
     * @return the example's loss
     */
    double differentiate(int example, double[] logProbs, double[] slopes);
  }

  /**
   * Makes one update on the mean loss of a batch of pairs.
   *
   * @param share of a full batch that these are, above 0 to 1: the update's step shrinks with it
   */
  public Step stepPairs(List<Pair> batch, double share) {
    List<Response> responses = new ArrayList<>();
    for (Pair pair : batch) {
      responses.add(pair.chosen());
      responses.add(pair.rejected());
    }
    return step(
        responses,
        2,
        (i, logProbs, slopes) -> {
          Pair pair = batch.get(i);
          double difference =
              (logProbs[2 * i] - pair.chosenReference())
                  - (logProbs[2 * i + 1] - pair.rejectedReference());
          PairLoss loss = settings.ofPair(difference, pair.margin());
          slopes[2 * i] = loss.slope();
          slopes[2 * i + 1] = -loss.slope();
          return loss.loss();
        },
        0,
        share);
  }

  /**
   * Makes one update on the mean loss of a batch of labelled responses.
   *
   * @param mismatched pairs of the batch ({@link #mismatched}), for the reference point
   * @param mismatchedReferences log π_0 of each of them
   * @param share of a full batch that these are, above 0 to 1: the update's step shrinks with it
   */
  public Step stepLabels(
      List<Label> batch, List<Response> mismatched, double[] mismatchedReferences, double share) {
    double[] logRatios = ResponseLogProbs.of(model, mismatched);
    for (int i = 0; i < logRatios.length; i++) {
      logRatios[i] -= mismatchedReferences[i];
      if (!Double.isFinite(logRatios[i])) {
        return new Step(
            Double.NaN, new double[batch.size()], Double.NaN, optimizer.skip(Double.NaN));
      }
    }
    double referencePoint = LabelLoss.referencePoint(logRatios);
    return step(
        batch.stream().map(Label::response).toList(),
        1,
        (i, logProbs, slopes) -> {
          Label label = batch.get(i);
          LabelLoss loss =
              settings.ofLabel(logProbs[i] - label.reference(), referencePoint, label.desirable());
          slopes[i] = loss.slope();
          return loss.loss();
        },
        referencePoint,
        share);
  }

  private Step step(
      List<Response> responses, int perExample, Example loss, double referencePoint, double share) {
    int examples = responses.size() / perExample;
    double[] logProbs = new double[responses.size()];
    double mean = 0;
    List<int[]> sequences = Response.sequences(responses);
    for (MicroBatches.Part part : MicroBatches.of(sequences, perExample, model.partTokens())) {
      int from = perExample * part.from();
      int to = perExample * part.to();
      List<Response> some = responses.subList(from, to);
      Targets targets = ResponseLogProbs.targets(some);
      double[] sums =
          ResponseLogProbs.sums(
              model
                  .forward(sequences.subList(from, to), targets, ResponseLogProbs.TEMPERATURE)
                  .logProbs(),
              some);
      System.arraycopy(sums, 0, logProbs, from, sums.length);
      double[] slopes = new double[logProbs.length];
      for (int i = part.from(); i < part.to(); i++) {
        if (!areFinite(logProbs, perExample * i, perExample * (i + 1))) {
          return new Step(Double.NaN, logProbs, referencePoint, optimizer.skip(Double.NaN));
        }
        mean += loss.differentiate(i, logProbs, slopes) / examples;
      }
      double[] of = IntStream.range(from, to).mapToDouble(i -> slopes[i] / examples).toArray();
      model.backward(
          optimizer.gradients(), ResponseLogProbs.spread(of, some), new float[targets.count()]);
    }
    return new Step(mean, logProbs, referencePoint, optimizer.update(optimizer.step() + 1, share));
  }

  private static boolean areFinite(double[] values, int from, int to) {
    return IntStream.range(from, to).allMatch(i -> Double.isFinite(values[i]));
  }

  /**
   * Prompts of a batch with responses to other prompts of it: each prompt with the response of the
   * next label that has another prompt. A prompt that has no other is left out.
   *
   * @param maxTokens a longer pair loses the end of its response
   */
  public static List<Response> mismatched(List<Label> batch, int maxTokens) {
    List<Response> mismatched = new ArrayList<>();
    int[][] prompts = batch.stream().map(label -> label.response().prompt()).toArray(int[][]::new);
    for (int i = 0; i < prompts.length; i++) {
      for (int step = 1; step < prompts.length; step++) {
        int j = (i + step) % prompts.length;
        if (!Arrays.equals(prompts[i], prompts[j])) {
          int[] response = batch.get(j).response().response();
          int room = Math.max(1, maxTokens - prompts[i].length);
          mismatched.add(
              Response.of(prompts[i], Arrays.copyOf(response, Math.min(room, response.length))));
          break;
        }
      }
    }
    return mismatched;
  }

  public LanguageModel model() {
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
