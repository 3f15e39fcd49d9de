package io.millrace.model.nd4j;

import io.millrace.model.tensor.Sequences;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Rearranges packed rows for batched operations. Sequences of similar length form a group and are
 * padded at the end to its longest length. A single batched operation is cheaper than many small
 * ones. Padding all sequences to the longest one would make attention pay for that length squared.
 */
final class Padding {

  /** A sequence joins a group if it has at least this share of its longest length. */
  private static final double MIN_SHARE = 0.75;

  /** Sequences of at most this many tokens always join a group. */
  private static final int TINY = 16;

  /**
   * A group of padded sequences: {@code batch · time} padded rows from {@code firstRow} on.
   *
   * @param firstRow first padded row
   * @param batch number of sequences
   * @param time longest length
   */
  record Group(int firstRow, int batch, int time) {

    /** The padded rows of this group. */
    INDArray of(INDArray padded) {
      return Nd4jTensor.rows(padded, firstRow, (long) batch * time);
    }
  }

  private final List<Group> groups = new ArrayList<>();
  private final Scratch scratch;
  private final INDArray toPadded;
  private final INDArray toPacked;
  private final INDArray real;

  Padding(Sequences sequences, Scratch scratch) {
    this.scratch = scratch;
    Integer[] longestFirst = new Integer[sequences.count()];
    Arrays.setAll(longestFirst, i -> i);
    Arrays.sort(longestFirst, Comparator.comparingInt(i -> -sequences.length(i)));
    int rows = group(sequences, longestFirst);

    int[] padded = new int[rows];
    int[] packed = new int[sequences.tokens()];
    float[] isReal = new float[rows];
    int sequence = 0;
    for (Group group : groups) {
      for (int b = 0; b < group.batch(); b++, sequence++) {
        int start = sequences.start(longestFirst[sequence]);
        int length = sequences.length(longestFirst[sequence]);
        int first = group.firstRow() + b * group.time();
        for (int t = 0; t < group.time(); t++) {
          // Padding repeats the last token of the sequence: finite values that are never read.
          padded[first + t] = start + Math.min(t, length - 1);
        }
        for (int t = 0; t < length; t++) {
          packed[start + t] = first + t;
          isReal[first + t] = 1;
        }
      }
    }
    this.toPadded = scratch.ints(padded);
    this.toPacked = scratch.ints(packed);
    this.real =
        rows == packed.length
            ? null
            : scratch.own(Nd4j.createFromArray(isReal)).reshape('c', rows, 1);
  }

  /** Splits the sequences, longest first, into groups; returns their number of padded rows. */
  private int group(Sequences sequences, Integer[] longestFirst) {
    int rows = 0;
    int from = 0;
    while (from < longestFirst.length) {
      int time = sequences.length(longestFirst[from]);
      int to = from + 1;
      while (to < longestFirst.length
          && (time <= TINY || sequences.length(longestFirst[to]) >= MIN_SHARE * time)) {
        to++;
      }
      groups.add(new Group(rows, to - from, time));
      rows += (to - from) * time;
      from = to;
    }
    return rows;
  }

  List<Group> groups() {
    return groups;
  }

  /** Number of padded rows of all groups. */
  int rows() {
    return Math.toIntExact(toPadded.length());
  }

  /** Packed rows as padded rows. Padding repeats a real row. */
  INDArray pad(INDArray packed) {
    return Ops.gather(scratch, packed, toPadded);
  }

  /** As {@link #pad}, for a gradient: padding is 0. */
  INDArray padGradient(INDArray packed) {
    INDArray padded = pad(packed);
    if (real != null) {
      Ops.multiply(padded, padded, real);
    }
    return padded;
  }

  /** Copies padded rows back to packed rows. */
  void unpad(INDArray packed, INDArray padded) {
    Ops.gather(packed, padded, toPacked);
  }

  INDArray unpad(INDArray padded) {
    return Ops.gather(scratch, padded, toPacked);
  }
}
