package io.millrace.model.preference;

import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.Targets;
import io.millrace.model.training.MicroBatches;
import java.util.List;

/** Log-probs of whole responses: sums over their tokens, at temperature 1. */
public final class ResponseLogProbs {

  static final float TEMPERATURE = 1;

  private ResponseLogProbs() {}

  /**
   * log π(y|x) of each response, without a backward pass. The responses go through the model in
   * micro-batches, as those of an update do.
   *
   * @return in nats, {@code [responses]}
   */
  public static double[] of(LanguageModel model, List<Response> responses) {
    double[] all = new double[responses.size()];
    if (responses.isEmpty()) {
      return all;
    }
    List<int[]> sequences = Response.sequences(responses);
    for (MicroBatches.Part part : MicroBatches.of(sequences, 1, model.partTokens())) {
      List<Response> some = responses.subList(part.from(), part.to());
      float[] logProbs =
          model.infer(Response.sequences(some), targets(some), TEMPERATURE).logProbs();
      double[] sums = sums(logProbs, some);
      System.arraycopy(sums, 0, all, part.from(), sums.length);
    }
    return all;
  }

  static Targets targets(List<Response> responses) {
    return Targets.from(
        Response.sequences(responses),
        responses.stream().mapToInt(Response::promptTokens).toArray());
  }

  /** The sums of the tokens' values over each response. */
  static double[] sums(float[] logProbs, List<Response> responses) {
    double[] sums = new double[responses.size()];
    int at = 0;
    for (int i = 0; i < sums.length; i++) {
      for (int t = 0; t < responses.get(i).length(); t++) {
        sums[i] += logProbs[at++];
      }
    }
    return sums;
  }

  /** Each response's value for every one of its tokens. */
  static float[] spread(double[] values, List<Response> responses) {
    float[] tokens = new float[responses.stream().mapToInt(Response::length).sum()];
    int at = 0;
    for (int i = 0; i < values.length; i++) {
      for (int t = 0; t < responses.get(i).length(); t++) {
        tokens[at++] = (float) values[i];
      }
    }
    return tokens;
  }
}
