package io.millrace.jobs.rejection;

import io.millrace.model.rejection.RejectionBag;
import io.millrace.schemas.Provenance;
import org.apache.avro.reflect.AvroDefault;
import org.apache.avro.reflect.Nullable;

/**
 * The responses to one prompt after scoring.
 *
 * @param isSafety IS_SAFETY(p): the prompt's flag, or the classifier's verdict
 * @param rewards of the K responses without a message, in the order in which they were sampled,
 *     {@code [K]}
 * @param usable whether each can win, {@code [K]}; null, as in states of earlier builds: all can
 * @param truncated how many of the K responses were cut at the length limit
 * @param empty how many of the K responses have no text
 * @param winner the best of all responses; null if none can win
 * @param guided responses under {@code preprompts}; null if there are none for this prompt
 */
public record Candidates(
    String promptId,
    boolean isSafety,
    double[] rewards,
    @Nullable @AvroDefault("null") boolean[] usable,
    int truncated,
    int empty,
    @Nullable RejectionBag.Entry winner,
    SamplingModels models,
    @Nullable @AvroDefault("null") GuidedResponses guided) {

  /** Whose prompt it is. Without a winner there is no text, and its id is enough. */
  Provenance provenance() {
    return hasWinner() ? winner.provenance() : Provenance.ofId(promptId);
  }

  public boolean hasWinner() {
    return winner != null;
  }
}
