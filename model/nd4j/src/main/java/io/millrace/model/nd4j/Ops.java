package io.millrace.model.nd4j;

import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.DynamicCustomOp;
import org.nd4j.linalg.factory.Nd4j;

/** ND4J's custom operations, with output to existing arrays. */
final class Ops {

  private Ops() {}

  /** Gathers the rows (entries of the first dimension) with the given indices into a new array. */
  static INDArray gather(Scratch scratch, INDArray rows, INDArray indices) {
    long[] shape = rows.shape().clone();
    shape[0] = indices.length();
    INDArray out = scratch.floats(shape);
    gather(out, rows, indices);
    return out;
  }

  /** {@code out[i] = rows[indices[i]]}. */
  static void gather(INDArray out, INDArray rows, INDArray indices) {
    exec(
        DynamicCustomOp.builder("gather")
            .addInputs(rows, indices)
            .addIntegerArguments(0)
            .addOutputs(out));
  }

  /** {@code rows[indices[i]] = values[i]}. */
  static void scatter(INDArray rows, INDArray indices, INDArray values) {
    exec(DynamicCustomOp.builder("scatter_upd").addInputs(rows, indices, values).addOutputs(rows));
  }

  /** {@code rows[indices[i]] += values[i]}; an index may occur more than once. */
  static void scatterAdd(INDArray rows, INDArray indices, INDArray values) {
    exec(
        DynamicCustomOp.builder("scatter_add")
            .addInputs(rows, indices, values)
            // With a lock one thread adds in the order of the indices, so the sums are repeatable.
            .addBooleanArguments(true)
            .addOutputs(rows));
  }

  /** a · b of matrices, or a[i] · b[i] of batches of matrices, with optional transposition. */
  static INDArray matmul(
      Scratch scratch, INDArray a, boolean transposeA, INDArray b, boolean transposeB) {
    INDArray out =
        scratch.floats(a.size(0), a.size(transposeA ? 2 : 1), b.size(transposeB ? 1 : 2));
    matmul(out, a, transposeA, b, transposeB, 1, 0);
    return out;
  }

  /** {@code out = alpha · a · b + beta · out}. */
  static void matmul(
      INDArray out,
      INDArray a,
      boolean transposeA,
      INDArray b,
      boolean transposeB,
      double alpha,
      double beta) {
    exec(
        DynamicCustomOp.builder("matmul")
            .addInputs(a, b)
            .addIntegerArguments(transposeA ? 1 : 0, transposeB ? 1 : 0)
            .addFloatingPointArguments(alpha, beta)
            .addOutputs(out));
  }

  /**
   * {@code out = a ∘ b}. A column b {@code [n, 1]} or row b {@code [1, columns]} is broadcast; out
   * may be a.
   */
  static void multiply(INDArray out, INDArray a, INDArray b) {
    exec(DynamicCustomOp.builder("multiply").addInputs(a, b).addOutputs(out));
  }

  /** {@code out = a − b}, with broadcasting as in {@link #multiply}. */
  static void subtract(INDArray out, INDArray a, INDArray b) {
    exec(DynamicCustomOp.builder("subtract").addInputs(a, b).addOutputs(out));
  }

  /** Softmax over the last dimension, in place. */
  static void softmax(INDArray x) {
    exec(
        DynamicCustomOp.builder("softmax")
            .addInputs(x)
            .addIntegerArguments(x.rank() - 1)
            .addOutputs(x));
  }

  private static void exec(DynamicCustomOp.DynamicCustomOpsBuilder operation) {
    Nd4j.exec(operation.build());
  }
}
