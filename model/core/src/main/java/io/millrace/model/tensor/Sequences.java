package io.millrace.model.tensor;

import java.util.List;

/**
 * How sequences lie packed, one after another and never padded, in the rows of an activation.
 *
 * @param offsets cumulative lengths: sequence i holds the rows {@code [offsets[i], offsets[i + 1])}
 */
public record Sequences(int[] offsets) {

  public Sequences {
    if (offsets.length < 2 || offsets[0] != 0) {
      throw new IllegalArgumentException("packed sequences need offsets 0, …, tokens");
    }
    for (int i = 1; i < offsets.length; i++) {
      if (offsets[i] <= offsets[i - 1]) {
        throw new IllegalArgumentException(
            "sequence " + (i - 1) + " is empty: offsets " + offsets[i - 1] + ", " + offsets[i]);
      }
    }
  }

  public static Sequences ofLengths(int... lengths) {
    int[] offsets = new int[lengths.length + 1];
    for (int i = 0; i < lengths.length; i++) {
      offsets[i + 1] = offsets[i] + lengths[i];
    }
    return new Sequences(offsets);
  }

  public static Sequences of(List<int[]> sequences) {
    return ofLengths(sequences.stream().mapToInt(sequence -> sequence.length).toArray());
  }

  /** The tokens of all sequences, one after another. */
  public static int[] concatenate(List<int[]> sequences) {
    int[] tokens = new int[sequences.stream().mapToInt(sequence -> sequence.length).sum()];
    int at = 0;
    for (int[] sequence : sequences) {
      System.arraycopy(sequence, 0, tokens, at, sequence.length);
      at += sequence.length;
    }
    return tokens;
  }

  public int count() {
    return offsets.length - 1;
  }

  public int tokens() {
    return offsets[offsets.length - 1];
  }

  public int start(int sequence) {
    return offsets[sequence];
  }

  public int length(int sequence) {
    return offsets[sequence + 1] - offsets[sequence];
  }

  public int maxLength() {
    int max = 0;
    for (int i = 0; i < count(); i++) {
      max = Math.max(max, length(i));
    }
    return max;
  }

  /** Position of every token in its own sequence, {@code [tokens]}. */
  public int[] positions() {
    int[] positions = new int[tokens()];
    for (int i = 0; i < count(); i++) {
      for (int t = 0; t < length(i); t++) {
        positions[start(i) + t] = t;
      }
    }
    return positions;
  }
}
