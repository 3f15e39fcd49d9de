package io.millrace.model.tensor;

import java.util.Arrays;
import java.util.stream.IntStream;

/**
 * The tokens of packed sequences that attend, m of n. All tokens attend in most layers. In a
 * model's last layer only those attend whose hidden states are read.
 *
 * @param sequences the n tokens, which serve as keys and values
 * @param rows packed rows of the tokens that attend, ascending, {@code [m]}: query i belongs to row
 *     rows[i]
 * @param positions position of every query in its own sequence, {@code [m]}
 * @param offsets sequence i has the queries {@code [offsets[i], offsets[i + 1])}, possibly none
 */
public record Queries(Sequences sequences, int[] rows, int[] positions, int[] offsets) {

  /** Every token attends: row i of the queries belongs to row i of the keys. */
  public static Queries all(Sequences sequences) {
    int[] rows = IntStream.range(0, sequences.tokens()).toArray();
    return new Queries(sequences, rows, sequences.positions(), sequences.offsets());
  }

  /**
   * Some tokens attend.
   *
   * @param rows packed rows of the tokens that attend, ascending
   * @throws IllegalArgumentException if the rows do not ascend or lie outside the sequences
   */
  public static Queries of(Sequences sequences, int[] rows) {
    int[] positions = new int[rows.length];
    int[] offsets = new int[sequences.count() + 1];
    int sequence = 0;
    for (int i = 0; i < rows.length; i++) {
      int before = i == 0 ? -1 : rows[i - 1];
      if (rows[i] <= before || rows[i] >= sequences.tokens()) {
        throw new IllegalArgumentException(
            "queries: rows must ascend within %d tokens, but rows[%d] is %d after %d"
                .formatted(sequences.tokens(), i, rows[i], before));
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

  /**
   * The rows that at least one query attends to, ascending: those of each sequence up to its last
   * query.
   */
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

  /** The same queries over the rows {@link #seen} alone. There must be at least one query. */
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

  /** Number of queries, m. */
  public int count() {
    return rows.length;
  }

  /** Whether every token attends. */
  public boolean areAll() {
    return rows.length == sequences.tokens();
  }

  /** Index of a sequence's first query. */
  public int start(int sequence) {
    return offsets[sequence];
  }

  /** Number of queries of a sequence. */
  public int count(int sequence) {
    return offsets[sequence + 1] - offsets[sequence];
  }
}
