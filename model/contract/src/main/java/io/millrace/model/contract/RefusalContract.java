package io.millrace.model.contract;

import static io.millrace.model.contract.TestTensors.wholeAndSliced;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.tensor.AdamW;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.CachedSequences;
import io.millrace.model.tensor.Draws;
import io.millrace.model.tensor.KvCache;
import io.millrace.model.tensor.Queries;
import io.millrace.model.tensor.Rope;
import io.millrace.model.tensor.Sequences;
import io.millrace.model.tensor.Tensor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/**
 * Arguments that do not fit are refused before anything is written. The message names the values.
 */
interface RefusalContract extends Contract {

  private static void assertRefused(Executable call, String... named) {
    String message = assertThrows(IllegalArgumentException.class, call).getMessage();
    for (String part : named) {
      assertTrue(message.contains(part), "'" + part + "' must be part of the message: " + message);
    }
  }

  @Test
  default void refusesEmptyTensors() {
    assertRefused(() -> backend().allocate(3, 0), "[3, 0]");
    assertRefused(() -> backend().allocate(-2, -3), "[-2, -3]");
    try (Tensor x = backend().allocate(3, 4)) {
      assertRefused(() -> x.slice(0, 0, 4), "[0, 4]", "[3, 4]");
      assertRefused(() -> x.slice(0, -1, -4), "[-1, -4]");
      assertRefused(() -> x.firstRows(0), "[0, 4]");
    }
  }

  @Test
  default void refusesSizesThatDoNotFit() {
    wholeAndSliced(
        backend(),
        tensors -> {
          Backend b = backend();
          Tensor x = tensors.random(3, 4);
          Tensor y = tensors.random(3, 5);
          assertRefused(() -> b.copy(x, y), "[3, 4]", "[3, 5]");
          assertRefused(() -> b.add(x, y), "[3, 4]", "[3, 5]");
          assertRefused(() -> b.swiGlu(x, x, y), "[3, 4]", "[3, 5]");
          assertRefused(() -> b.swiGlu(y, x, x), "[3, 4]", "[3, 5]");
          assertRefused(() -> b.swiGluBackward(y, x, x, x, x), "[3, 4]", "[3, 5]");
          assertRefused(() -> b.swiGluBackward(x, y, x, x, x), "[3, 4]", "[3, 5]");
          assertRefused(() -> b.swiGluBackward(x, x, y, x, x), "[3, 4]", "[3, 5]");
          assertRefused(() -> b.swiGluBackward(x, x, x, x, y), "[3, 4]", "[3, 5]");
          AdamW settings = AdamW.llama2();
          assertRefused(() -> b.adamW(x, y, x, x, settings, 0, 1, 1, 1), "[3, 4]", "[3, 5]");
          assertRefused(() -> b.adamW(x, x, y, x, settings, 0, 1, 1, 1), "[3, 4]", "[3, 5]");
          assertRefused(() -> b.adamW(x, x, x, y, settings, 0, 1, 1, 1), "[3, 4]", "[3, 5]");
          assertRefused(() -> b.adamW(x, x, x, x, settings, 0, 1, 1, 0), "0");
        });
  }

  @Test
  default void refusesShapesThatDoNotFit() {
    wholeAndSliced(
        backend(),
        tensors -> {
          Backend b = backend();
          Tensor x = tensors.random(3, 4);
          Tensor turned = tensors.random(4, 3);
          Tensor w = tensors.random(5, 4);
          Tensor y = tensors.random(3, 5);
          Tensor norm = tensors.random(4);
          assertRefused(() -> b.linear(y, turned, w), "[3, 5]", "[4, 3]", "[5, 4]");
          assertRefused(() -> b.linear(x, x, w), "[3, 4]", "[5, 4]");
          assertRefused(() -> b.linearByRow(y, turned, w), "[3, 5]", "[4, 3]", "[5, 4]");
          assertRefused(() -> b.linearByRow(x, x, w), "[3, 4]", "[5, 4]");
          assertRefused(() -> b.linearBackward(turned, w, y, x, w), "[4, 3]", "[3, 4]");
          assertRefused(() -> b.linearBackward(x, x, y, x, w), "[5, 4]", "[3, 4]");
          assertRefused(() -> b.linearBackward(x, w, x, x, w), "[5, 4]", "[3, 4]");
          assertRefused(() -> b.rmsNorm(turned, x, norm, 1e-5f), "[4, 3]", "[3, 4]");
          assertRefused(() -> b.rmsNorm(x, x, y, 1e-5f), "[3, 4]", "[3, 5]");
          assertRefused(() -> b.addRmsNorm(x, x, y, norm, 1e-5f), "[3, 4]", "[3, 5]");
          assertRefused(() -> b.rmsNormBackward(x, x, x, x, norm, 1e-5f), "[3, 4]", "[4]");
          assertRefused(() -> b.rmsNormBackward(turned, norm, x, x, norm, 1e-5f), "[4, 3]");
          assertRefused(() -> b.rmsNormBackward(x, norm, turned, x, norm, 1e-5f), "[4, 3]");
          int[] rows = {0, 2, 1};
          assertRefused(() -> b.gatherRows(x, w, new int[] {0, 1}), "[3, 4]", "[5, 4]");
          assertRefused(() -> b.gatherRows(y, w, rows), "[3, 5]", "[5, 4]");
          assertRefused(() -> b.gatherRows(x, w, new int[] {0, 5, 1}), "5");
          assertRefused(() -> b.gatherRowsBackward(w, new int[] {0, 1, -1}, x), "-1");
          assertRefused(() -> b.gatherRowsBackward(w, rows, y), "[3, 5]", "[5, 4]");
          assertRefused(() -> b.rope(x, new int[] {0, 1}, new Rope(2, 100), false), "2", "[3, 4]");
          assertRefused(() -> b.rope(x, rows, new Rope(6, 100), false), "6", "[3, 4]");
          assertRefused(() -> b.rope(y, rows, new Rope(2, 100), false), "2", "[3, 5]");
          assertRefused(() -> b.rope(x, new int[] {0, -7, 1}, new Rope(2, 100), false), "-7");
        });
  }

  @Test
  default void refusesAttentionThatDoesNotFit() {
    Backend b = backend();
    Queries three = Queries.all(Sequences.ofLengths(1, 2));
    Queries four = Queries.all(Sequences.ofLengths(4));
    Queries two = Queries.of(Sequences.ofLengths(1, 2), new int[] {0, 2});
    wholeAndSliced(
        b,
        tensors -> {
          Tensor q = tensors.random(3, 12);
          Tensor k = tensors.random(3, 6);
          Tensor other = tensors.random(3, 4);
          assertRefused(() -> b.attention(q, q, k, k, four, 4, 2), "4", "[3, 12]");
          assertRefused(() -> b.attention(q, q, k, k, two, 4, 2), "2", "[3, 12]");
          assertRefused(() -> b.attention(q, q, k, k, three, 4, 3), "[3, 12]");
          assertRefused(() -> b.attention(q, q, k, k, three, 5, 5), "[3, 12]");
          assertRefused(() -> b.attention(q, q, k, k, three, 4, 0), "[3, 12]");
          assertRefused(() -> b.attention(q, q, k, other, three, 4, 2), "[3, 6]", "[3, 4]");
          assertRefused(() -> b.attention(k, q, k, k, three, 4, 2), "[3, 12]", "[3, 6]");
          assertRefused(() -> b.attentionBackward(k, k, k, q, q, k, k, three, 4, 2), "[3, 6]");
          assertRefused(() -> b.attentionBackward(q, q, k, q, q, k, k, three, 4, 2), "[3, 12]");
          assertRefused(() -> b.attentionBackward(q, k, q, q, q, k, k, three, 4, 2), "[3, 12]");
          assertRefused(() -> b.attentionBackward(q, k, k, k, q, k, k, three, 4, 2), "[3, 6]");
        });
  }

  @Test
  default void refusesCachedAttentionThatDoesNotFit() {
    Backend b = backend();
    Sequences two = Sequences.ofLengths(1, 2);
    int[] start = {0, 0};
    CachedSequences fit = new CachedSequences(two, start, new int[][] {{0}, {1, 2}});
    assertRefused(() -> b.kvCache(1, 0, 8, 2, 3));
    assertRefused(() -> new CachedSequences(two, new int[1], new int[2][0]), "1", "2");
    assertRefused(() -> new CachedSequences(two, start, new int[1][0]), "1", "2");
    assertRefused(() -> new CachedSequences(two, new int[] {0, -3}, new int[2][0]), "-3");
    wholeAndSliced(
        b,
        tensors -> {
          Tensor q = tensors.random(3, 12);
          Tensor k = tensors.random(3, 6);
          try (KvCache cache = b.kvCache(1, 4, 8, 2, 3);
              KvCache wider = b.kvCache(1, 4, 8, 2, 4)) {
            assertRefused(() -> b.cachedAttention(q, q, k, k, cache, 1, fit, 4), "layer 1");
            assertRefused(() -> b.cachedAttention(q, q, k, k, wider, 0, fit, 4), "[3, 6]");
            assertRefused(() -> b.cachedAttention(k, q, k, k, cache, 0, fit, 4), "[3, 6]");
            assertRefused(() -> b.cachedAttention(q, q, q, k, cache, 0, fit, 4), "[3, 12]");
            int[][][] badPages = {{{0}, {4}}, {{0}, {-1}}, {{0}, {0}}, {{0}, {}}};
            String[] named = {"[4]", "[-1]", "page 0", "2 tokens"};
            for (int i = 0; i < badPages.length; i++) {
              CachedSequences bad = new CachedSequences(two, start, badPages[i]);
              assertRefused(() -> b.cachedAttention(q, q, k, k, cache, 0, bad, 4), named[i]);
            }
            CachedSequences tooLong =
                new CachedSequences(two, new int[] {0, 7}, new int[][] {{0}, {1}});
            assertRefused(() -> b.cachedAttention(q, q, k, k, cache, 0, tooLong, 4), "9 tokens");
            // The first sequence writes to a page that the second one reads.
            CachedSequences read =
                new CachedSequences(two, new int[] {3, 8}, new int[][] {{2}, {2, 1}});
            assertRefused(() -> b.cachedAttention(q, q, k, k, cache, 0, read, 4), "page 2");
          }
        });
  }

  @Test
  default void refusesDrawsThatDoNotFit() {
    Backend b = backend();
    float[] ones = {1, 1};
    double[] zeros = {0, 0};
    assertRefused(() -> new Draws(ones, ones, new double[1]), "2", "1");
    assertRefused(() -> new Draws(new float[] {1, -1}, ones, zeros), "row 1", "-1");
    assertRefused(() -> new Draws(ones, new float[] {0, 1}, zeros), "row 0", "0");
    assertRefused(() -> new Draws(ones, ones, new double[] {1, 0}), "row 0", "1");
    wholeAndSliced(
        b,
        tensors -> {
          Tensor logits = tensors.random(3, 7);
          Draws two = new Draws(ones, ones, zeros);
          assertRefused(() -> b.sample(new int[3], new float[3], logits, two), "2", "[3, 7]");
          Tensor less = logits.firstRows(2);
          assertRefused(() -> b.sample(new int[3], new float[2], less, two), "3", "[2, 7]");
          assertRefused(() -> b.sample(new int[2], new float[3], less, two), "3", "[2, 7]");
        });
  }

  @Test
  default void refusesHeadsThatDoNotFit() {
    wholeAndSliced(
        backend(),
        tensors -> {
          Backend b = backend();
          Tensor x = tensors.random(3, 4);
          Tensor head = tensors.random(7, 4);
          Tensor other = tensors.random(7, 3);
          float[] three = new float[3];
          float[] two = new float[2];
          int[] targets = {0, 6, 1};
          assertRefused(() -> b.logProbs(three, three, x, other, targets, 1), "[3, 4]", "[7, 3]");
          assertRefused(() -> b.logProbs(two, three, x, head, targets, 1), "2", "[3, 4]");
          assertRefused(() -> b.logProbs(three, two, x, head, targets, 1), "2", "[3, 4]");
          assertRefused(() -> b.logProbs(three, three, x, head, new int[2], 1), "2", "[3, 4]");
          assertRefused(() -> b.logProbs(three, three, x, head, new int[] {0, 7, 1}, 1), "7");
          assertRefused(() -> b.logProbs(three, three, x, head, targets, 0), "temperature");
          assertRefused(() -> b.logProbs(three, three, x, head, targets, Float.NaN), "temperature");
          assertRefused(
              () -> b.logProbsBackward(x, x, three, three, x, head, targets, 1),
              "[3, 4]",
              "[7, 4]");
          assertRefused(
              () -> b.logProbsBackward(head, head, three, three, x, head, targets, 1),
              "[3, 4]",
              "[7, 4]");
          assertRefused(
              () -> b.logProbsBackward(x, head, two, three, x, head, targets, 1), "2", "[3, 4]");
        });
  }
}
