package io.millrace.model.tensor.nd4j;

import io.millrace.model.tensor.KvCache;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Keys and values as [slots · kvHeads, capacity, headDim], one pair of arrays a layer. */
final class Nd4jKvCache implements KvCache {

  final INDArray[] keys;
  final INDArray[] values;
  final int kvHeads;
  final int headDim;
  private final int slots;
  private final int capacity;

  Nd4jKvCache(int layers, int slots, int capacity, int kvHeads, int headDim) {
    if (layers < 1 || slots < 1 || capacity < 1 || kvHeads < 1 || headDim < 1) {
      throw new IllegalArgumentException(
          "a KV cache of %d layers, %d slots of %d tokens, %d heads of %d holds nothing"
              .formatted(layers, slots, capacity, kvHeads, headDim));
    }
    this.slots = slots;
    this.capacity = capacity;
    this.kvHeads = kvHeads;
    this.headDim = headDim;
    this.keys = new INDArray[layers];
    this.values = new INDArray[layers];
    for (int layer = 0; layer < layers; layer++) {
      // Zeros, since attention multiplies what lies beyond a sequence by a probability of zero.
      keys[layer] = zeros();
      values[layer] = zeros();
    }
  }

  private INDArray zeros() {
    return Nd4j.zeros(DataType.FLOAT, (long) slots * kvHeads, capacity, headDim);
  }

  /** Elements of one token's keys. */
  int columns() {
    return kvHeads * headDim;
  }

  /** What every slot holds at its first positions, over the same memory. */
  INDArray prefix(INDArray store, int positions) {
    return Nd4j.create(
        store.data(),
        new long[] {(long) slots * kvHeads, positions, headDim},
        new long[] {(long) capacity * headDim, headDim, 1},
        0,
        'c');
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
