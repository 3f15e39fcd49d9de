package io.millrace.model.contract;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.millrace.model.tensor.CachedSequences;
import io.millrace.model.tensor.KvCache;
import io.millrace.model.tensor.Queries;
import io.millrace.model.tensor.Sequences;
import io.millrace.model.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Attention over a KV cache must equal attention without a cache, however the tokens are divided
 * into calls.
 */
interface CachedAttentionContract extends Contract {

  @ParameterizedTest
  @CsvSource({
    "1,1,2,1",
    "4,1,6,5",
    "4,2,10,7",
    "4,4,16,16",
    "6,2,6,24",
    "6,2,14,3",
    "4,2,4,16",
    "8,4,8,16",
    "4,2,12,4",
    "16,1,20,8",
    "2,1,36,12"
  })
  default void cachedAttentionInChunksAndPagesOfAnySize(
      int heads, int kvHeads, int headDim, int pageTokens) {
    Random random = new Random(11);
    int pagesEach = (24 + pageTokens - 1) / pageTokens;
    try (KvCache cache = backend().kvCache(2, 5 * pagesEach, pageTokens, kvHeads, headDim)) {
      assertEquals(5 * pagesEach, cache.pages());
      assertEquals(pageTokens, cache.pageTokens());
      Fed first = new Fed(3, 24, heads, kvHeads, headDim, random);
      Fed second = new Fed(3, 24, heads, kvHeads, headDim, random);
      first.pages(cache, random);
      second.pages = first.pages;
      // A whole prompt, then single tokens.
      first.feed(this, cache, 0, new int[] {0}, new int[] {7});
      first.feed(this, cache, 0, new int[] {0}, new int[] {1});
      first.feed(this, cache, 0, new int[] {0}, new int[] {1});
      // Other sequences join; then chunks of unequal lengths follow prefixes of unequal lengths.
      first.feed(this, cache, 0, new int[] {2, 0}, new int[] {3, 1});
      first.feed(this, cache, 0, new int[] {0, 1, 2}, new int[] {1, 1, 1});
      first.feed(this, cache, 0, new int[] {2, 1, 0}, new int[] {5, 2, 3});
      // Another layer holds other keys and values in the same pages.
      second.feed(this, cache, 1, new int[] {0, 1}, new int[] {6, 1});
      // The pages are filled to the end.
      first.feed(this, cache, 0, new int[] {0}, new int[] {10});
      second.feed(this, cache, 1, new int[] {1, 0}, new int[] {2, 1});
    }
  }

  @Test
  default void pagesCanBeReusedForAnotherSequence() {
    Random random = new Random(12);
    try (KvCache cache = backend().kvCache(1, 6, 4, 2, 6)) {
      Fed longer = new Fed(2, 12, 4, 2, 6, random);
      longer.pages = new int[][] {{0, 4, 2}, {5, 1, 3}};
      longer.feed(this, cache, 0, new int[] {0, 1}, new int[] {12, 12});
      Fed shorter = new Fed(2, 12, 4, 2, 6, random);
      shorter.pages = new int[][] {{4, 3, 0}, {1, 2, 5}};
      shorter.feed(this, cache, 0, new int[] {0, 1}, new int[] {2, 5});
      shorter.feed(this, cache, 0, new int[] {0}, new int[] {1});
    }
  }

  @Test
  default void sequencesSharePagesThatTheyDoNotWrite() {
    Random random = new Random(13);
    try (KvCache cache = backend().kvCache(2, 9, 4, 2, 6)) {
      Fed fed = new Fed(3, 12, 4, 2, 6, random);
      fed.pages = new int[][] {{7, 2, 0}, {7, 5, 1}, {7, 8, 4}};
      // Six common tokens fill a page that all sequences share, and part of a page that two
      // sequences get copies of.
      fed.copyPrefix(6);
      for (int layer = 0; layer < 2; layer++) {
        fed.restart();
        fed.feed(this, cache, layer, new int[] {0}, new int[] {6});
      }
      cache.copyPage(5, 2);
      cache.copyPage(8, 2);
      for (int layer = 0; layer < 2; layer++) {
        fed.restart();
        fed.seen[0] = 6;
        fed.seen[1] = 6;
        fed.seen[2] = 5;
        fed.feed(this, cache, layer, new int[] {2, 0, 1}, new int[] {3, 1, 2});
        fed.feed(this, cache, layer, new int[] {0, 1, 2}, new int[] {5, 4, 1});
      }
    }
  }

  @Test
  default void cachedAttentionIsIndependentOfOtherSequencesAndOfChunks() {
    float[][] outs = new float[3][];
    for (int division = 0; division < outs.length; division++) {
      try (KvCache cache = backend().kvCache(1, 12, 8, 2, 6)) {
        Fed fed = new Fed(2, 40, 4, 2, 6, new Random(14));
        fed.pages = new int[][] {{3, 1, 4, 0, 5}, {2, 6, 7, 8, 9}};
        switch (division) {
          case 0 -> fed.feed(this, cache, 0, new int[] {0}, new int[] {31});
          case 1 -> {
            fed.feed(this, cache, 0, new int[] {1, 0}, new int[] {40, 31});
          }
          default -> {
            fed.feed(this, cache, 0, new int[] {0}, new int[] {5});
            fed.feed(this, cache, 0, new int[] {0, 1}, new int[] {20, 3});
            fed.feed(this, cache, 0, new int[] {0}, new int[] {6});
          }
        }
        outs[division] = fed.feed(this, cache, 0, new int[] {0}, new int[] {1});
      }
    }
    for (int division = 1; division < outs.length; division++) {
      assertArrayEquals(outs[0], outs[division], rowTolerance(), "division " + division);
    }
  }

  /** Random queries, keys and values of some sequences, fed to a cache piece by piece. */
  final class Fed {

    private final int heads;
    private final int kvHeads;
    private final int headDim;
    private final double[][] q;
    private final double[][] k;
    private final double[][] v;
    private final int[] seen;
    private int[][] pages;

    Fed(int count, int length, int heads, int kvHeads, int headDim, Random random) {
      this.heads = heads;
      this.kvHeads = kvHeads;
      this.headDim = headDim;
      this.q = new double[count][];
      this.k = new double[count][];
      this.v = new double[count][];
      this.seen = new int[count];
      for (int s = 0; s < count; s++) {
        q[s] = values(random, length * heads * headDim);
        k[s] = values(random, length * kvHeads * headDim);
        v[s] = values(random, length * kvHeads * headDim);
      }
    }

    private static double[] values(Random random, int n) {
      return random.doubles(n, -1, 1).map(value -> (float) value).toArray();
    }

    /** Assigns every sequence its own pages, in random order. */
    void pages(KvCache cache, Random random) {
      List<Integer> all = new ArrayList<>();
      for (int page = 0; page < cache.pages(); page++) {
        all.add(page);
      }
      Collections.shuffle(all, random);
      int each = cache.pages() / q.length;
      pages = new int[q.length][each];
      for (int i = 0; i < q.length * each; i++) {
        pages[i / each][i % each] = all.get(i);
      }
    }

    /** Copies the first tokens of the first sequence to all other sequences. */
    void copyPrefix(int tokens) {
      for (int s = 1; s < q.length; s++) {
        System.arraycopy(q[0], 0, q[s], 0, tokens * heads * headDim);
        System.arraycopy(k[0], 0, k[s], 0, tokens * kvHeads * headDim);
        System.arraycopy(v[0], 0, v[s], 0, tokens * kvHeads * headDim);
      }
    }

    /** Begins again with the first token of every sequence. */
    void restart() {
      Arrays.fill(seen, 0);
    }

    /**
     * Feeds the next tokens of some sequences, and compares the result with attention over all
     * tokens so far.
     *
     * @return the result, {@code [tokens, heads · headDim]}
     */
    float[] feed(Contract contract, KvCache cache, int layer, int[] which, int[] newTokens) {
      Sequences packed = Sequences.ofLengths(newTokens);
      int[] firstPositions = Arrays.stream(which).map(s -> seen[s]).toArray();
      double[] expected = {};
      for (int i = 0; i < which.length; i++) {
        int s = which[i];
        seen[s] += newTokens[i];
        double[] all =
            Reference.attention(
                Arrays.copyOf(q[s], seen[s] * heads * headDim),
                Arrays.copyOf(k[s], seen[s] * kvHeads * headDim),
                Arrays.copyOf(v[s], seen[s] * kvHeads * headDim),
                Queries.all(Sequences.ofLengths(seen[s])),
                heads,
                kvHeads,
                headDim);
        expected = append(expected, all, firstPositions[i] * heads * headDim, all.length);
      }
      double[] expectedOut = expected;
      CachedSequences sequences =
          new CachedSequences(
              packed,
              firstPositions,
              Arrays.stream(which).mapToObj(s -> pages[s]).toArray(int[][]::new));
      float[][] result = new float[1][];
      int n = packed.tokens();
      TestTensors.wholeAndSliced(
          contract.backend(),
          tensors -> {
            Tensor out = tensors.output(n, heads * headDim);
            contract
                .backend()
                .cachedAttention(
                    out,
                    tensors.activation(
                        newRows(q, which, firstPositions, heads), n, heads * headDim),
                    tensors.activation(
                        newRows(k, which, firstPositions, kvHeads), n, kvHeads * headDim),
                    tensors.activation(
                        newRows(v, which, firstPositions, kvHeads), n, kvHeads * headDim),
                    cache,
                    layer,
                    sequences,
                    heads);
            contract.assertForward("out", expectedOut, out);
            result[0] = out.toFloats();
          });
      return result[0];
    }

    private double[] newRows(double[][] rows, int[] which, int[] firstPositions, int heads) {
      double[] packed = {};
      for (int i = 0; i < which.length; i++) {
        int width = heads * headDim;
        packed = append(packed, rows[which[i]], firstPositions[i] * width, seen[which[i]] * width);
      }
      return packed;
    }

    private static double[] append(double[] head, double[] tail, int from, int to) {
      double[] both = Arrays.copyOf(head, head.length + to - from);
      System.arraycopy(tail, from, both, head.length, to - from);
      return both;
    }
  }
}
