package io.millrace.model.tensor;

import java.util.Arrays;

/**
 * New tokens of sequences whose earlier tokens a {@link KvCache} holds.
 *
 * @param tokens how the new tokens lie packed, n of them
 * @param firstPositions position of each sequence's first new token, {@code [sequences]}
 * @param pages for each sequence its pages in order, new tokens' included: position p of sequence i
 *     is kept in page {@code pages[i][p / pageTokens]}, at {@code p % pageTokens}
 */
public record CachedSequences(Sequences tokens, int[] firstPositions, int[][] pages) {

  public CachedSequences {
    if (firstPositions.length != tokens.count() || pages.length != tokens.count()) {
      throw new IllegalArgumentException(
          "%d first positions and %d page lists for %d sequences"
              .formatted(firstPositions.length, pages.length, tokens.count()));
    }
    for (int i = 0; i < firstPositions.length; i++) {
      if (firstPositions[i] < 0) {
        throw new IllegalArgumentException(
            "sequence %d begins at position %d".formatted(i, firstPositions[i]));
      }
    }
  }

  public int count() {
    return tokens.count();
  }

  /** Tokens of a sequence, earlier ones and new ones. */
  public int length(int sequence) {
    return firstPositions[sequence] + tokens.length(sequence);
  }

  /** Position of every new token in its own sequence, {@code [n]}. */
  public int[] positions() {
    int[] positions = tokens.positions();
    for (int i = 0; i < count(); i++) {
      for (int t = tokens.start(i); t < tokens.start(i) + tokens.length(i); t++) {
        positions[t] += firstPositions[i];
      }
    }
    return positions;
  }

  /**
   * Refuses pages that a cache does not have, sequences that their pages do not hold, and a page
   * that new tokens would go to while another sequence reads or writes it.
   */
  public void requireFit(KvCache cache) {
    // By page: 1 + the sequence that uses it; only written pages must not be shared.
    int[] user = new int[cache.pages()];
    boolean[] written = new boolean[cache.pages()];
    for (int i = 0; i < count(); i++) {
      int used = (length(i) + cache.pageTokens() - 1) / cache.pageTokens();
      if (pages[i].length < used) {
        throw new IllegalArgumentException(
            "cachedAttention: sequence %d has %d tokens, its %d pages of %d hold fewer"
                .formatted(i, length(i), pages[i].length, cache.pageTokens()));
      }
      int firstWritten = firstPositions[i] / cache.pageTokens();
      for (int p = 0; p < used; p++) {
        int page = pages[i][p];
        if (page < 0 || page >= user.length) {
          throw new IllegalArgumentException(
              "cachedAttention: pages %s of sequence %d are not all in a KV cache of %d"
                  .formatted(Arrays.toString(pages[i]), i, user.length));
        }
        boolean writes = p >= firstWritten;
        if (user[page] != 0 && (writes || written[page])) {
          throw new IllegalArgumentException(
              "cachedAttention: page %d takes new tokens and is used twice, by sequences %d and %d"
                  .formatted(page, user[page] - 1, i));
        }
        user[page] = i + 1;
        written[page] |= writes;
      }
    }
  }
}
