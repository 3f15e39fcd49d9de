package io.millrace.model.nd4j;

import io.millrace.model.tensor.Rope;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Cosines and sines of the rotation angles of every position.
 *
 * @param positions number of positions
 * @param cos {@code [positions, headDim]}; both halves are the same
 * @param sin {@code [positions, headDim]}; both halves are the same
 * @param rotation {@code [headDim, headDim]}: x · rotation = (−x₂, x₁) for the halves x₁, x₂ of x
 */
record RopeTable(int positions, INDArray cos, INDArray sin, INDArray rotation) {

  /**
   * The given table if it has enough positions; otherwise closes it and returns a larger one. The
   * table may be null.
   */
  static RopeTable covering(RopeTable table, Rope rope, int wantedPositions) {
    if (table != null && table.positions >= wantedPositions) {
      return table;
    }
    if (table != null) {
      table.close();
    }
    // The size is a power of two, so n tokens need only log n tables.
    int size = Integer.highestOneBit(Math.max(64, wantedPositions - 1)) << 1;
    return compute(rope, size);
  }

  private static RopeTable compute(Rope rope, int positions) {
    int headDim = rope.headDim();
    double[] frequencies = rope.inverseFrequencies();
    int half = headDim / 2;
    float[][] cos = new float[positions][headDim];
    float[][] sin = new float[positions][headDim];
    for (int position = 0; position < positions; position++) {
      for (int j = 0; j < headDim; j++) {
        double angle = position * frequencies[j % half];
        cos[position][j] = (float) Math.cos(angle);
        sin[position][j] = (float) Math.sin(angle);
      }
    }
    float[][] rotation = new float[headDim][headDim];
    for (int j = 0; j < half; j++) {
      rotation[half + j][j] = -1;
      rotation[j][half + j] = 1;
    }
    return new RopeTable(
        positions,
        Nd4j.createFromArray(cos),
        Nd4j.createFromArray(sin),
        Nd4j.createFromArray(rotation));
  }

  void close() {
    cos.close();
    sin.close();
    rotation.close();
  }
}
