package io.millrace.model.tensor;

import java.util.Arrays;

/**
 * New tokens of sequences whose earlier tokens are in a {@link KvCache}.
 *
 * @param tokens the new tokens, n of them, packed
 * @param firstPositions position of each sequence's first new token, {@code [sequences]}
 * @param pages pages of each sequence in order, those for its new tokens included: page {@code
 *     pages[i][p / pageTokens]} holds position p of sequence i, at offset {@code p % pageTokens}
 */
public record CachedSequences(Sequences tokens, int[] firstPositions, int[][] pages) {

  public CachedSequences {
    if (firstPositions.length != tokens.count() || pages.length != tokens.count()) {
      throw new IllegalArgumentException(
          "cached sequences: %d first positions and %d page lists for %d sequences; give one of each"
              .formatted(firstPositions.length, pages.length, tokens.count()));
    }
    for (int i = 0; i < firstPositions.length; i++) {
      if (firstPositions[i] < 0) {
        throw new IllegalArgumentException(
            "cached sequences: first position of sequence %d must be at least 0, not %d"
                .formatted(i, firstPositions[i]));
      }
    }
  }

  /** Number of sequences. */
  public int count() {
    return tokens.count();
  }

  /** The sequences {@code from} to {@code to − 1}. */
  public CachedSequences range(int from, int to) {
    return new CachedSequences(
        tokens.range(from, to),
        Arrays.copyOfRange(firstPositions, from, to),
        Arrays.copyOfRange(pages, from, to));
  }

  /** Length of a sequence in tokens, cached and new. */
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
   * Checks the page lists against a cache.
   *
   * @throws IllegalArgumentException if the cache does not have a page, if a sequence has too few
   *     pages, or if a page takes new tokens while another sequence uses it
   */
  public void requireFit(KvCache cache) {
    // The sequence that uses each page, plus 1. Only pages that are not written may be shared.
    int[] user = new int[cache.pages()];
    boolean[] written = new boolean[cache.pages()];
    for (int i = 0; i < count(); i++) {
      int used = (length(i) + cache.pageTokens() - 1) / cache.pageTokens();
      if (pages[i].length < used) {
        throw new IllegalArgumentException(
            "cachedAttention: sequence %d has %d tokens, more than its %d pages of %d tokens hold"
                .formatted(i, length(i), pages[i].length, cache.pageTokens()));
      }
      int firstWritten = firstPositions[i] / cache.pageTokens();
      for (int p = 0; p < used; p++) {
        int page = pages[i][p];
        if (page < 0 || page >= user.length) {
          throw new IllegalArgumentException(
              "cachedAttention: pages %s of sequence %d are not all below %d, the pages of the cache"
                  .formatted(Arrays.toString(pages[i]), i, user.length));
        }
        boolean writes = p >= firstWritten;
        if (user[page] != 0 && (writes || written[page])) {
          throw new IllegalArgumentException(
              ("cachedAttention: sequences %2$d and %3$d share page %1$d, which takes new tokens;"
                      + " copy the page first")
                  .formatted(page, user[page] - 1, i));
        }
        user[page] = i + 1;
        written[page] |= writes;
      }
    }
  }
}
