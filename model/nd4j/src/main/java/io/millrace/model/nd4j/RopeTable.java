package io.millrace.model.nd4j;

import io.millrace.model.tensor.Rope;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Cosines and sines of every position's angles.
 *
 * @param cos [positions, headDim], each half the same
 * @param sin [positions, headDim], each half the same
 * @param rotation [headDim, headDim]: x·rotation = (−x₂, x₁) for the halves of x
 */
record RopeTable(int positions, INDArray cos, INDArray sin, INDArray rotation) {

  /** The given table (null: none yet), or a new one in its place that reaches as far as asked. */
  static RopeTable covering(RopeTable table, Rope rope, int wantedPositions) {
    if (table != null && table.positions >= wantedPositions) {
      return table;
    }
    if (table != null) {
      table.close();
    }
    // In powers of two, so that a generation of n tokens makes log n tables.
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
