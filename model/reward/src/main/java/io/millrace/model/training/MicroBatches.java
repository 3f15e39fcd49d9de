package io.millrace.model.training;

import java.util.ArrayList;
import java.util.List;

/**
 * Splits a batch of sequences into micro-batches by tokens, since activations need memory in
 * proportion to tokens. The gradients of the parts add up to the gradient of the batch.
 */
public final class MicroBatches {

  private MicroBatches() {}

  /** A part of a batch: items {@code [from, to)}. */
  public record Part(int from, int to) {

    public int size() {
      return to - from;
    }
  }

  /**
   * Consecutive parts of a batch; none of an empty one.
   *
   * @param sequencesPerItem consecutive sequences that stay in one part, such as 2 for a pair
   * @param maxTokens maximum tokens of a part; an item with more tokens is a part of its own
   */
  public static List<Part> of(List<int[]> sequences, int sequencesPerItem, int maxTokens) {
    List<Part> parts = new ArrayList<>();
    int from = 0;
    long tokens = 0;
    int items = sequences.size() / sequencesPerItem;
    for (int item = 0; item < items; item++) {
      long more = 0;
      for (int i = 0; i < sequencesPerItem; i++) {
        more += sequences.get(item * sequencesPerItem + i).length;
      }
      if (item > from && tokens + more > maxTokens) {
        parts.add(new Part(from, item));
        from = item;
        tokens = 0;
      }
      tokens += more;
    }
    if (from < items) {
      parts.add(new Part(from, items));
    }
    return parts;
  }
}
