package io.millrace.model.llama;

import io.millrace.model.tensor.Sequences;
import java.util.Arrays;
import java.util.List;

/**
 * Tokens of a packed batch whose log-probabilities are wanted.
 *
 * @param rows packed row before each target, whose hidden state predicts it, {@code [m]}
 * @param tokens token ids of the targets, {@code [m]}
 */
public record Targets(int[] rows, int[] tokens) {

  public Targets {
    if (rows.length != tokens.length) {
      throw new IllegalArgumentException(
          "targets: "
              + rows.length
              + " rows for "
              + tokens.length
              + " tokens; give one row for each");
    }
  }

  private interface Selection {
    boolean contains(int sequence, int token);
  }

  /** Number of targets, m. */
  public int count() {
    return rows.length;
  }

  /** All tokens but the first of each sequence, which nothing predicts. */
  public static Targets all(List<int[]> sequences) {
    return select(sequences, (sequence, token) -> true);
  }

  /**
   * The tokens of each sequence from an index on, such as a response after its prompt.
   *
   * @param from index of the first target in each sequence, at least 1, {@code [sequences]}
   */
  public static Targets from(List<int[]> sequences, int[] from) {
    for (int i = 0; i < from.length; i++) {
      if (from[i] < 1) {
        throw new IllegalArgumentException(
            "targets: from is "
                + from[i]
                + " for sequence "
                + i
                + " but must be at least 1: no token precedes the first one");
      }
    }
    return select(sequences, (sequence, token) -> token >= from[sequence]);
  }

  /**
   * The tokens that a mask marks. A mark on the first token of a sequence is ignored.
   *
   * @param masks one flag for each token of each sequence
   */
  public static Targets masked(List<int[]> sequences, List<boolean[]> masks) {
    for (int i = 0; i < masks.size(); i++) {
      if (masks.get(i).length != sequences.get(i).length) {
        throw new IllegalArgumentException(
            "targets: mask %d has %d flags but its sequence has %d tokens"
                .formatted(i, masks.get(i).length, sequences.get(i).length));
      }
    }
    return select(sequences, (sequence, token) -> masks.get(sequence)[token]);
  }

  private static Targets select(List<int[]> batch, Selection selection) {
    Sequences sequences = Sequences.of(batch);
    int[] rows = new int[sequences.tokens()];
    int[] tokens = new int[sequences.tokens()];
    int count = 0;
    for (int i = 0; i < batch.size(); i++) {
      for (int t = 1; t < batch.get(i).length; t++) {
        if (selection.contains(i, t)) {
          rows[count] = sequences.start(i) + t - 1;
          tokens[count++] = batch.get(i)[t];
        }
      }
    }
    return new Targets(Arrays.copyOf(rows, count), Arrays.copyOf(tokens, count));
  }
}
