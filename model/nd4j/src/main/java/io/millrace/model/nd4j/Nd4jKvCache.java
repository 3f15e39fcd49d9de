package io.millrace.model.nd4j;

import io.millrace.model.tensor.Arguments;
import io.millrace.model.tensor.KvCache;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Each layer has keys and values {@code [pages · pageTokens, kvHeads · headDim]}. */
final class Nd4jKvCache implements KvCache {

  final INDArray[] keys;
  final INDArray[] values;
  final int kvHeads;
  final int headDim;
  private final int pages;
  private final int pageTokens;

  Nd4jKvCache(int layers, int pages, int pageTokens, int kvHeads, int headDim) {
    Arguments.kvCache(layers, pages, pageTokens, kvHeads, headDim);
    this.pages = pages;
    this.pageTokens = pageTokens;
    this.kvHeads = kvHeads;
    this.headDim = headDim;
    this.keys = new INDArray[layers];
    this.values = new INDArray[layers];
    for (int layer = 0; layer < layers; layer++) {
      keys[layer] = Nd4j.createUninitialized(DataType.FLOAT, (long) pages * pageTokens, columns());
      values[layer] =
          Nd4j.createUninitialized(DataType.FLOAT, (long) pages * pageTokens, columns());
    }
  }

  /** Elements of the keys of a token. */
  int columns() {
    return kvHeads * headDim;
  }

  @Override
  public int pages() {
    return pages;
  }

  @Override
  public int pageTokens() {
    return pageTokens;
  }

  @Override
  public void copyPage(int target, int source) {
    for (INDArray[] store : new INDArray[][] {keys, values}) {
      for (INDArray layer : store) {
        page(layer, target).assign(page(layer, source));
      }
    }
  }

  private INDArray page(INDArray layer, int page) {
    return Nd4jTensor.rows(layer, (long) page * pageTokens, pageTokens);
  }

  @Override
  public void close() {
    for (int layer = 0; layer < keys.length; layer++) {
      keys[layer].close();
      values[layer].close();
    }
  }
}
