package io.millrace.model.tensor;

import java.util.Arrays;
import java.util.List;

/**
 * Packed sequences: their tokens are consecutive rows of an activation, without padding.
 *
 * @param offsets cumulative lengths, {@code [count + 1]}: sequence i has the rows {@code
 *     [offsets[i], offsets[i + 1])}
 */
public record Sequences(int[] offsets) {

  public Sequences {
    if (offsets.length < 2 || offsets[0] != 0) {
      throw new IllegalArgumentException(
          "packed sequences need at least two offsets, from 0 to the number of tokens, not "
              + Arrays.toString(offsets));
    }
    for (int i = 1; i < offsets.length; i++) {
      if (offsets[i] <= offsets[i - 1]) {
        throw new IllegalArgumentException(
            "packed sequences: sequence %d has no tokens (offsets %d, %d); leave it out"
                .formatted(i - 1, offsets[i - 1], offsets[i]));
      }
    }
  }

  /** Packs sequences of the given lengths in tokens, each at least 1. */
  public static Sequences ofLengths(int... lengths) {
    int[] offsets = new int[lengths.length + 1];
    for (int i = 0; i < lengths.length; i++) {
      offsets[i + 1] = offsets[i] + lengths[i];
    }
    return new Sequences(offsets);
  }

  /** Packs the given sequences of tokens. */
  public static Sequences of(List<int[]> sequences) {
    return ofLengths(sequences.stream().mapToInt(sequence -> sequence.length).toArray());
  }

  /** The tokens of all sequences, packed, {@code [tokens]}. */
  public static int[] concatenate(List<int[]> sequences) {
    int[] tokens = new int[sequences.stream().mapToInt(sequence -> sequence.length).sum()];
    int at = 0;
    for (int[] sequence : sequences) {
      System.arraycopy(sequence, 0, tokens, at, sequence.length);
      at += sequence.length;
    }
    return tokens;
  }

  /** Number of sequences. */
  public int count() {
    return offsets.length - 1;
  }

  /** Number of tokens of all sequences. */
  public int tokens() {
    return offsets[offsets.length - 1];
  }

  /** Row of the first token of a sequence. */
  public int start(int sequence) {
    return offsets[sequence];
  }

  /** Length of a sequence in tokens. */
  public int length(int sequence) {
    return offsets[sequence + 1] - offsets[sequence];
  }

  /** The sequences {@code from} to {@code to − 1}, packed by themselves. */
  public Sequences range(int from, int to) {
    int[] part = Arrays.copyOfRange(offsets, from, to + 1);
    for (int i = 0; i < part.length; i++) {
      part[i] -= offsets[from];
    }
    return new Sequences(part);
  }

  /** Length of the longest sequence in tokens. */
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
