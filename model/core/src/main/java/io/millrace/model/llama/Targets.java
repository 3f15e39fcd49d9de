package io.millrace.model.llama;

import io.millrace.model.tensor.Sequences;
import java.util.Arrays;
import java.util.List;

/**
 * Tokens of a packed batch whose log-probs are asked for, and the rows that predict them.
 *
 * @param rows the packed row before each target's own, {@code [m]}
 * @param tokens the targets, {@code [m]}
 */
public record Targets(int[] rows, int[] tokens) {

  public Targets {
    if (rows.length != tokens.length) {
      throw new IllegalArgumentException(
          rows.length + " rows do not match " + tokens.length + " tokens");
    }
  }

  private interface Selection {
    boolean contains(int sequence, int token);
  }

  public int count() {
    return rows.length;
  }

  /** Every token but the first of each sequence. */
  public static Targets all(List<int[]> sequences) {
    return select(sequences, (sequence, token) -> true);
  }

  /** The tokens from the given index of each sequence on: responses after their prompts. */
  public static Targets from(List<int[]> sequences, int[] from) {
    for (int i = 0; i < from.length; i++) {
      if (from[i] < 1) {
        throw new IllegalArgumentException(
            "sequence " + i + " has no prompt: nothing predicts its first token");
      }
    }
    return select(sequences, (sequence, token) -> token >= from[sequence]);
  }

  /** The tokens that a mask marks; a sequence's first token cannot be one. */
  public static Targets masked(List<int[]> sequences, List<boolean[]> masks) {
    for (int i = 0; i < masks.size(); i++) {
      if (masks.get(i).length != sequences.get(i).length) {
        throw new IllegalArgumentException(
            "mask %d has %d tokens, its sequence %d"
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
