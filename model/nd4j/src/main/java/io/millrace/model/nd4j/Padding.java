package io.millrace.model.nd4j;

import io.millrace.model.tensor.Sequences;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Packed rows rearranged for batched operations: sequences of alike length form a group and are
 * padded at their ends to its longest. One batched operation costs less here than many small ones,
 * while padding all to the longest of all would square the waste of one long sequence.
 */
final class Padding {

  /** Sequences this much shorter than a group's longest still join it; so do the tiny ones. */
  private static final double ALIKE = 0.75;

  private static final int TINY = 16;

  /**
   * Padded sequences, [batch · time] rows from {@code firstRow} on.
   *
   * @param batch the number of sequences
   * @param time the length of the longest
   */
  record Group(int firstRow, int batch, int time) {

    /** This group's part of the padded rows of all groups. */
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
          // A padded row repeats the sequence's last token: finite, and never read.
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

  /** Cuts the sequences, longest first, into groups; returns their padded rows. */
  private int group(Sequences sequences, Integer[] longestFirst) {
    int rows = 0;
    int from = 0;
    while (from < longestFirst.length) {
      int time = sequences.length(longestFirst[from]);
      int to = from + 1;
      while (to < longestFirst.length
          && (time <= TINY || sequences.length(longestFirst[to]) >= ALIKE * time)) {
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

  /** Rows of all groups, padding included. */
  int rows() {
    return Math.toIntExact(toPadded.length());
  }

  /** Packed rows to padded ones; padding repeats a real row. */
  INDArray pad(INDArray packed) {
    return Ops.gather(scratch, packed, toPadded);
  }

  /** The same for a gradient, whose padding must be zero. */
  INDArray padGradient(INDArray packed) {
    INDArray padded = pad(packed);
    if (real != null) {
      Ops.multiply(padded, padded, real);
    }
    return padded;
  }

  /** Padded rows back to packed ones. */
  void unpad(INDArray packed, INDArray padded) {
    Ops.gather(packed, padded, toPacked);
  }

  INDArray unpad(INDArray padded) {
    return Ops.gather(scratch, padded, toPacked);
  }
}
