package io.millrace.model.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Attention over a cache must be attention, however the tokens arrive. */
interface CachedAttentionContract extends Contract {

  @ParameterizedTest
  @CsvSource({"1,1,2", "4,1,6", "4,2,10", "4,4,16", "6,2,6"})
  default void cachedAttentionInAnyChunksAndSlots(int heads, int kvHeads, int headDim) {
    Random random = new Random(11);
    try (KvCache cache = backend().kvCache(2, 5, 24, kvHeads, headDim)) {
      assertEquals(5, cache.slots());
      assertEquals(24, cache.capacity());
      CachedSequences first = new CachedSequences(3, 24, heads, kvHeads, headDim, random);
      CachedSequences second = new CachedSequences(3, 24, heads, kvHeads, headDim, random);
      // A whole prompt, then token by token.
      first.feed(backend(), cache, 0, new int[] {4}, new int[] {0}, new int[] {7});
      first.feed(backend(), cache, 0, new int[] {4}, new int[] {0}, new int[] {1});
      first.feed(backend(), cache, 0, new int[] {4}, new int[] {0}, new int[] {1});
      // Others join in lower slots; then chunks of unequal lengths over uneven prefixes.
      first.feed(backend(), cache, 0, new int[] {1, 4}, new int[] {2, 0}, new int[] {3, 1});
      first.feed(
          backend(), cache, 0, new int[] {4, 3, 1}, new int[] {0, 1, 2}, new int[] {1, 1, 1});
      first.feed(
          backend(), cache, 0, new int[] {1, 3, 4}, new int[] {2, 1, 0}, new int[] {5, 2, 3});
      // Another layer holds other keys and values at the same places.
      second.feed(backend(), cache, 1, new int[] {4, 1}, new int[] {0, 1}, new int[] {6, 1});
      // A slot may be filled to its end.
      first.feed(backend(), cache, 0, new int[] {4}, new int[] {0}, new int[] {10});
      second.feed(backend(), cache, 1, new int[] {1, 4}, new int[] {1, 0}, new int[] {2, 1});
    }
  }

  @Test
  default void aSlotServesAnotherSequenceAfterTheFirst() {
    Random random = new Random(12);
    try (KvCache cache = backend().kvCache(1, 2, 12, 2, 6)) {
      CachedSequences longer = new CachedSequences(2, 12, 4, 2, 6, random);
      longer.feed(backend(), cache, 0, new int[] {0, 1}, new int[] {0, 1}, new int[] {12, 12});
      CachedSequences shorter = new CachedSequences(2, 12, 4, 2, 6, random);
      shorter.feed(backend(), cache, 0, new int[] {1, 0}, new int[] {0, 1}, new int[] {2, 5});
      shorter.feed(backend(), cache, 0, new int[] {1}, new int[] {0}, new int[] {1});
    }
  }

  /** Sequences of random queries, keys and values, fed to a cache piece by piece. */
  final class CachedSequences {

    private final int heads;
    private final int kvHeads;
    private final int headDim;
    private final double[][] q;
    private final double[][] k;
    private final double[][] v;
    private final int[] seen;

    CachedSequences(int count, int length, int heads, int kvHeads, int headDim, Random random) {
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

    /** Feeds the next tokens of some sequences and compares with attention over all so far. */
    void feed(
        Backend backend, KvCache cache, int layer, int[] slots, int[] which, int[] newTokens) {
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
                Sequences.ofLengths(seen[s]),
                heads,
                kvHeads,
                headDim);
        expected = append(expected, all, firstPositions[i] * heads * headDim, all.length);
      }
      double[] wanted = expected;
      int n = packed.tokens();
      TestTensors.wholeAndSliced(
          backend,
          tensors -> {
            Tensor out = tensors.output(n, heads * headDim);
            backend.cachedAttention(
                out,
                tensors.tensor(newRows(q, which, firstPositions, heads), n, heads * headDim),
                tensors.tensor(newRows(k, which, firstPositions, kvHeads), n, kvHeads * headDim),
                tensors.tensor(newRows(v, which, firstPositions, kvHeads), n, kvHeads * headDim),
                cache,
                layer,
                slots,
                packed,
                firstPositions,
                heads);
            TestTensors.assertForward("out", wanted, out);
          });
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
