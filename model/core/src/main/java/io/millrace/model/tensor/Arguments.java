package io.millrace.model.tensor;

import java.util.Arrays;

/**
 * Checks the arguments of a {@link Backend}'s kernels, before anything is written. A check that
 * fails throws an {@link IllegalArgumentException} that names the kernel and the shapes.
 */
public final class Arguments {

  private Arguments() {}

  /** Checks that no dimension is below 1; returns the number of elements. */
  public static long requireShape(int... shape) {
    long size = 1;
    for (int dimension : shape) {
      if (dimension < 1) {
        throw new IllegalArgumentException(
            "allocate: shape is "
                + Arrays.toString(shape)
                + " but every dimension must be at least 1");
      }
      size *= dimension;
    }
    return size;
  }

  /** Checks that a slice lies in a tensor and is not empty; returns its number of elements. */
  public static long requireSlice(Tensor tensor, long offset, int... shape) {
    long length = 1;
    boolean empty = false;
    for (int dimension : shape) {
      empty |= dimension < 1;
      length *= dimension;
    }
    if (empty || offset < 0 || offset + length > tensor.size()) {
      throw new IllegalArgumentException(
          "slice: shape %2$s at element %1$d is empty or does not lie in a tensor of shape %3$s"
              .formatted(offset, Arrays.toString(shape), Arrays.toString(tensor.shape())));
    }
    return length;
  }

  /** Checks that a range of elements lies in a tensor. */
  public static void requireRange(Tensor tensor, long offset, int length) {
    if (offset < 0 || offset + length > tensor.size()) {
      throw new IllegalArgumentException(
          "elements [%d, %d) do not lie in a tensor of shape %s, which has %d elements"
              .formatted(offset, offset + length, Arrays.toString(tensor.shape()), tensor.size()));
    }
  }

  public static void linear(String kernel, Tensor out, Tensor x, Tensor w) {
    require(
        x.columns() == w.columns() && out.rows() == x.rows() && out.columns() == w.rows(),
        kernel,
        out,
        x,
        w);
  }

  public static void linearBackward(Tensor dx, Tensor dw, Tensor dout, Tensor x, Tensor w) {
    linear("linearBackward", dout, x, w);
    requireSameRows("linearBackward", x, dx);
    if (dw != null) {
      requireSameRows("linearBackward", w, dw);
    }
  }

  public static void gatherRows(Tensor out, Tensor x, int[] rows) {
    require(out.columns() == x.columns() && out.rows() == rows.length, "gatherRows", out, x);
    requireIndices("gatherRows", rows, x.rows());
  }

  public static void gatherRowsBackward(Tensor dx, int[] rows, Tensor dout) {
    require(
        dout.columns() == dx.columns() && dout.rows() == rows.length,
        "gatherRowsBackward",
        dx,
        dout);
    requireIndices("gatherRowsBackward", rows, dx.rows());
  }

  public static void rmsNorm(Tensor out, Tensor x, Tensor w) {
    requireSameRows("rmsNorm", x, out);
    require(w.size() == x.columns(), "rmsNorm", x, w);
  }

  public static void rmsNormBackward(Tensor dx, Tensor dw, Tensor dout, Tensor x, Tensor w) {
    requireSameRows("rmsNormBackward", x, dx, dout);
    if (dw != null) {
      requireSameSize("rmsNormBackward", w, dw);
    }
    require(w.size() == x.columns(), "rmsNormBackward", x, w);
  }

  public static void rope(Tensor x, int[] positions, Rope rope) {
    if (x.columns() % rope.headDim() != 0) {
      throw new IllegalArgumentException(
          "rope: rows of shape %2$s are not a whole number of heads of width %1$d"
              .formatted(rope.headDim(), Arrays.toString(x.shape())));
    }
    requireCount("rope", "positions", positions.length, x.rows(), x);
    requireIndices("rope", positions, Integer.MAX_VALUE);
  }

  public static void attention(
      String kernel, Tensor q, Tensor k, Tensor v, Queries queries, int heads, int kvHeads) {
    attention(kernel, q, k, v, heads, kvHeads);
    requireCount(kernel, "queries", queries.count(), q.rows(), q, k, v);
    requireCount(kernel, "tokens in sequences", queries.sequences().tokens(), k.rows(), q, k, v);
  }

  /** Checks attention over a cache, where every new token attends. */
  public static void cachedAttention(
      Tensor q, Tensor k, Tensor v, CachedSequences sequences, int heads, int kvHeads) {
    String kernel = "cachedAttention";
    attention(kernel, q, k, v, heads, kvHeads);
    requireCount(kernel, "tokens in sequences", sequences.tokens().tokens(), q.rows(), q, k, v);
    requireCount(kernel, "queries", q.rows(), k.rows(), q, k, v);
  }

  private static void attention(
      String kernel, Tensor q, Tensor k, Tensor v, int heads, int kvHeads) {
    if (heads < 1 || kvHeads < 1 || heads % kvHeads != 0 || q.columns() % heads != 0) {
      throw new IllegalArgumentException(
          ("%s: %d heads and %d key heads do not fit queries of shape %s;"
                  + " heads must divide the columns, and key heads must divide heads")
              .formatted(kernel, heads, kvHeads, Arrays.toString(q.shape())));
    }
    require(
        k.columns() == q.columns() / heads * kvHeads
            && v.columns() == k.columns()
            && v.rows() == k.rows(),
        kernel,
        q,
        k,
        v);
  }

  public static void head(
      String kernel,
      float[] logProbs,
      float[] entropies,
      Tensor x,
      Tensor head,
      int[] targets,
      float temperature) {
    require(x.columns() == head.columns(), kernel, x, head);
    requireCount(kernel, "targets", targets.length, x.rows(), x, head);
    requireCount(kernel, "log-probs", logProbs.length, x.rows(), x, head);
    requireCount(kernel, "entropies", entropies.length, x.rows(), x, head);
    requireIndices(kernel, targets, head.rows());
    if (!(temperature > 0)) {
      throw new IllegalArgumentException(
          kernel + ": temperature must be above 0, not " + temperature);
    }
  }

  /**
   * Checks the backward pass of the head.
   *
   * @param dhead null if the head is frozen
   */
  public static void headBackward(
      Tensor dx,
      Tensor dhead,
      float[] dLogProbs,
      float[] dEntropies,
      Tensor x,
      Tensor head,
      int[] targets,
      float temperature) {
    String kernel = "logProbsBackward";
    head(kernel, dLogProbs, dEntropies, x, head, targets, temperature);
    requireSameRows(kernel, x, dx);
    if (dhead != null) {
      requireSameRows(kernel, head, dhead);
    }
  }

  public static void sample(int[] tokens, float[] logProbs, Tensor logits, Draws draws) {
    requireCount("sample", "draws", draws.count(), logits.rows(), logits);
    requireCount("sample", "tokens", tokens.length, logits.rows(), logits);
    requireCount("sample", "log-probs", logProbs.length, logits.rows(), logits);
  }

  public static void adamW(Tensor parameters, Tensor gradients, Tensor m, Tensor v, long step) {
    requireSameSize("adamW", parameters, gradients, m, v);
    if (step < 1) {
      throw new IllegalArgumentException(
          "adamW: step is " + step + " but must be at least 1: the first update is step 1");
    }
  }

  public static void kvCache(int layers, int pages, int pageTokens, int kvHeads, int headDim) {
    if (layers < 1 || pages < 1 || pageTokens < 1 || kvHeads < 1 || headDim < 1) {
      throw new IllegalArgumentException(
          ("kvCache: every size must be at least 1, but there are"
                  + " %d layers, %d pages of %d tokens and %d heads of width %d")
              .formatted(layers, pages, pageTokens, kvHeads, headDim));
    }
  }

  public static void requireLayer(int layer, int layers) {
    if (layer < 0 || layer >= layers) {
      throw new IllegalArgumentException(
          "cachedAttention: layer %d is not in a KV cache with layers 0 to %d"
              .formatted(layer, layers - 1));
    }
  }

  /** Checks tensors of a kernel that works element by element. */
  public static void requireSameSize(String kernel, Tensor first, Tensor... others) {
    for (Tensor other : others) {
      require(other.size() == first.size(), kernel, first, other);
    }
  }

  /** Checks tensors of a kernel that works row by row. */
  public static void requireSameRows(String kernel, Tensor first, Tensor... others) {
    for (Tensor other : others) {
      require(
          other.columns() == first.columns() && other.rows() == first.rows(), kernel, first, other);
    }
  }

  /** Checks a count that the shapes of tensors determine, such as a number of tokens or values. */
  public static void requireCount(
      String kernel, String what, long count, long wanted, Tensor... tensors) {
    if (count != wanted) {
      throw new IllegalArgumentException(
          "%s: %d %s but %d are needed for shapes %s"
              .formatted(kernel, count, what, wanted, Arrays.toString(tensors)));
    }
  }

  private static void require(boolean fits, String kernel, Tensor... tensors) {
    if (!fits) {
      throw new IllegalArgumentException(
          kernel + ": shapes do not fit: " + Arrays.toString(tensors));
    }
  }

  private static void requireIndices(String kernel, int[] indices, int bound) {
    for (int i = 0; i < indices.length; i++) {
      if (indices[i] < 0 || indices[i] >= bound) {
        throw new IllegalArgumentException(
            "%s: element %d of the indices is %d but must be in [0, %d)"
                .formatted(kernel, i, indices[i], bound));
      }
    }
  }
}
