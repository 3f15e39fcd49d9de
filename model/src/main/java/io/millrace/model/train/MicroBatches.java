package io.millrace.model.train;

import java.util.ArrayList;
import java.util.List;

/**
 * Splits a batch of sequences where it would not fit: gradients of the parts add up to the whole's.
 */
final class MicroBatches {

  /** Sequences · longest² of a part: what attention's work space grows with. */
  private static final long MAX_ATTENTION = 1 << 21;

  private MicroBatches() {}

  /** A part of a batch: items {@code [from, to)}. */
  record Part(int from, int to) {

    int size() {
      return to - from;
    }
  }

  /** Consecutive parts, each as long as the attention of its sequences fits. */
  static List<Part> of(List<int[]> sequences, int sequencesPerItem) {
    List<Part> parts = new ArrayList<>();
    int from = 0;
    long longest = 0;
    int items = sequences.size() / sequencesPerItem;
    for (int item = 0; item < items; item++) {
      long length = 0;
      for (int i = 0; i < sequencesPerItem; i++) {
        length = Math.max(length, sequences.get(item * sequencesPerItem + i).length);
      }
      long grown = Math.max(longest, length);
      if (item > from && (item - from + 1L) * sequencesPerItem * grown * grown > MAX_ATTENTION) {
        parts.add(new Part(from, item));
        from = item;
        grown = length;
      }
      longest = grown;
    }
    parts.add(new Part(from, items));
    return parts;
  }
}
