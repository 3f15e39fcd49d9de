package io.millrace.jobs.rewardmodel;

import io.millrace.model.llama.ScalarModel;
import io.millrace.model.training.MicroBatches;
import java.util.List;

/** Scores of the reward model that is being trained, beside its training. */
final class Scoring {

  private Scoring() {}

  /**
   * Scores sequences in micro-batches, as updates take them: in the memory that updates need.
   *
   * @return one logit for each sequence
   */
  static float[] score(ScalarModel model, List<int[]> sequences) {
    return ScalarModel.means(headScores(model, sequences), model.heads());
  }

  /** As {@link #score}, with a logit of each head, {@code [sequences, heads]}. */
  static float[] headScores(ScalarModel model, List<int[]> sequences) {
    float[] scores = new float[sequences.size() * model.heads()];
    for (MicroBatches.Part part : MicroBatches.of(sequences, 1, model.partTokens())) {
      float[] some = model.headScores(sequences.subList(part.from(), part.to()));
      System.arraycopy(some, 0, scores, part.from() * model.heads(), some.length);
    }
    return scores;
  }
}
