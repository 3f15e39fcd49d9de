package io.millrace.model.tensor.nd4j;

import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.DynamicCustomOp;
import org.nd4j.linalg.factory.Nd4j;

/** ND4J's custom operations, written into arrays that are already there. */
final class Ops {

  private Ops() {}

  /** The rows of a matrix with the given indices, [indices, columns]. */
  static INDArray gather(Scratch scratch, INDArray rows, INDArray indices) {
    INDArray out = scratch.floats(indices.length(), rows.columns());
    gather(out, rows, indices);
    return out;
  }

  static void gather(INDArray out, INDArray rows, INDArray indices) {
    exec(
        DynamicCustomOp.builder("gather")
            .addInputs(rows, indices)
            .addIntegerArguments(0)
            .addOutputs(out)
            .build());
  }

  /** Overwrites the rows of a matrix with the given indices. */
  static void scatter(INDArray rows, INDArray indices, INDArray values) {
    exec(
        DynamicCustomOp.builder("scatter_upd")
            .addInputs(rows, indices, values)
            .addOutputs(rows)
            .build());
  }

  /** a[i]·b[i] of every matrix i of the two batches, each transposed first where asked. */
  static INDArray matmul(
      Scratch scratch, INDArray a, boolean transposeA, INDArray b, boolean transposeB) {
    INDArray out =
        scratch.floats(a.size(0), a.size(transposeA ? 2 : 1), b.size(transposeB ? 1 : 2));
    exec(
        DynamicCustomOp.builder("matmul")
            .addInputs(a, b)
            .addIntegerArguments(transposeA ? 1 : 0, transposeB ? 1 : 0)
            .addOutputs(out)
            .build());
    return out;
  }

  /** softmax over the last dimension, in place. */
  static void softmax(INDArray x) {
    exec(
        DynamicCustomOp.builder("softmax")
            .addInputs(x)
            .addIntegerArguments(x.rank() - 1)
            .addOutputs(x)
            .build());
  }

  /** log softmax over the rows of a matrix. */
  static INDArray logSoftmax(Scratch scratch, INDArray x) {
    INDArray out = scratch.floats(x.shape());
    exec(
        DynamicCustomOp.builder("log_softmax")
            .addInputs(x)
            .addIntegerArguments(1)
            .addOutputs(out)
            .build());
    return out;
  }

  private static void exec(DynamicCustomOp operation) {
    Nd4j.exec(operation);
  }
}
