package io.millrace.model.tensor.nd4j;

import io.millrace.model.tensor.KvCache;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Keys and values as [slots · kvHeads · capacity, headDim], one pair of arrays a layer. */
final class Nd4jKvCache implements KvCache {

  final INDArray[] keys;
  final INDArray[] values;
  final int kvHeads;
  final int headDim;
  private final int slots;
  private final int capacity;

  Nd4jKvCache(int layers, int slots, int capacity, int kvHeads, int headDim) {
    this.slots = slots;
    this.capacity = capacity;
    this.kvHeads = kvHeads;
    this.headDim = headDim;
    this.keys = new INDArray[layers];
    this.values = new INDArray[layers];
    for (int layer = 0; layer < layers; layer++) {
      // Zeros, since attention multiplies what lies beyond a sequence by a probability of zero.
      keys[layer] = Nd4j.zeros(DataType.FLOAT, (long) slots * kvHeads * capacity, headDim);
      values[layer] = Nd4j.zeros(DataType.FLOAT, (long) slots * kvHeads * capacity, headDim);
    }
  }

  @Override
  public int slots() {
    return slots;
  }

  @Override
  public int capacity() {
    return capacity;
  }

  @Override
  public void close() {
    for (int layer = 0; layer < keys.length; layer++) {
      keys[layer].close();
      values[layer].close();
    }
  }
}
