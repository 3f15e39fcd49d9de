package io.millrace.model.tensor;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * Which tokens of packed sequences ask in an attention: all of them, or, in a model's last layer,
 * those alone whose hidden states are read.
 *
 * @param sequences of n tokens, which are asked
 * @param rows the packed rows that ask, ascending, {@code [m]}; query i is of token rows[i]
 * @param positions of every query in its own sequence, {@code [m]}
 * @param offsets the queries of sequence i are {@code [offsets[i], offsets[i + 1])}; it may have
 *     none
 */
public record Queries(Sequences sequences, int[] rows, int[] positions, int[] offsets) {

  /** Every token asks: row i of the queries is row i of the keys. */
  public static Queries all(Sequences sequences) {
    int[] rows = IntStream.range(0, sequences.tokens()).toArray();
    return new Queries(sequences, rows, sequences.positions(), sequences.offsets());
  }

  /** Some tokens ask. */
  public static Queries of(Sequences sequences, int[] rows) {
    int[] positions = new int[rows.length];
    int[] offsets = new int[sequences.count() + 1];
    int sequence = 0;
    for (int i = 0; i < rows.length; i++) {
      int before = i == 0 ? -1 : rows[i - 1];
      if (rows[i] <= before || rows[i] >= sequences.tokens()) {
        throw new IllegalArgumentException(
            "rows that ask must ascend within %d tokens, but row %d follows %d"
                .formatted(sequences.tokens(), rows[i], before));
      }
      while (rows[i] >= sequences.offsets()[sequence + 1]) {
        offsets[++sequence] = i;
      }
      positions[i] = rows[i] - sequences.start(sequence);
    }
    while (sequence < sequences.count()) {
      offsets[++sequence] = rows.length;
    }
    return new Queries(sequences, rows, positions, offsets);
  }

  /** The rows that a query sees, ascending: of each sequence those up to its last query's. */
  public int[] seen() {
    IntStream.Builder seen = IntStream.builder();
    for (int sequence = 0; sequence < sequences.count(); sequence++) {
      if (count(sequence) > 0) {
        for (int row = sequences.start(sequence); row <= rows[offsets[sequence + 1] - 1]; row++) {
          seen.add(row);
        }
      }
    }
    return seen.build().toArray();
  }

  /** The same queries where the rows {@link #seen} are all there are; at least one query. */
  public Queries ofSeen() {
    int[] lengths =
        IntStream.range(0, sequences.count())
            .filter(sequence -> count(sequence) > 0)
            .map(sequence -> positions[offsets[sequence + 1] - 1] + 1)
            .toArray();
    int[] seen = seen();
    int[] moved = IntStream.of(rows).map(row -> Arrays.binarySearch(seen, row)).toArray();
    return of(Sequences.ofLengths(lengths), moved);
  }

  /** How many ask, m. */
  public int count() {
    return rows.length;
  }

  /** Whether every token asks. */
  public boolean areAll() {
    return rows.length == sequences.tokens();
  }

  /** A sequence's first query. */
  public int start(int sequence) {
    return offsets[sequence];
  }

  /** How many queries a sequence has. */
  public int count(int sequence) {
    return offsets[sequence + 1] - offsets[sequence];
  }
}
