package io.millrace.model.torch;

import io.millrace.model.tensor.Arguments;
import io.millrace.model.tensor.KvCache;
import io.millrace.model.tensor.OutOfDeviceMemoryException;
import io.millrace.model.torch.library.Block;
import io.millrace.model.torch.library.TorchMemory;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** Each layer has keys and values {@code [pages · pageTokens, kvHeads · headDim]}. */
final class TorchKvCache implements KvCache {

  private final TorchMemory memory;
  private final Tensor[] keys;
  private final Tensor[] values;
  private final int kvHeads;
  private final int headDim;
  private final int pages;
  private final int pageTokens;
  private final long bytesEach;

  TorchKvCache(
      TorchMemory memory,
      ScalarType type,
      int layers,
      int pages,
      int pageTokens,
      int kvHeads,
      int headDim) {
    Arguments.kvCache(layers, pages, pageTokens, kvHeads, headDim);
    this.memory = memory;
    this.pages = pages;
    this.pageTokens = pageTokens;
    this.kvHeads = kvHeads;
    this.headDim = headDim;
    this.keys = new Tensor[layers];
    this.values = new Tensor[layers];
    long rows = (long) pages * pageTokens;
    this.bytesEach = rows * columns() * Block.bytesOf(type);
    for (int layer = 0; layer < layers; layer++) {
      keys[layer] = allocate(type, rows);
      values[layer] = allocate(type, rows);
    }
  }

  private Tensor allocate(ScalarType type, long rows) {
    try (PointerScope _ = new PointerScope()) {
      return memory
          .allocate(
              TorchMemory.Use.KV_CACHE,
              bytesEach,
              () -> memory.device().empty(type, rows, columns()))
          .retainReference();
    } catch (OutOfDeviceMemoryException e) {
      close();
      throw e;
    }
  }

  Tensor keys(int layer) {
    Arguments.requireLayer(layer, keys.length);
    return keys[layer];
  }

  Tensor values(int layer) {
    Arguments.requireLayer(layer, values.length);
    return values[layer];
  }

  int kvHeads() {
    return kvHeads;
  }

  int headDim() {
    return headDim;
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
    try (PointerScope _ = new PointerScope()) {
      for (Tensor[] store : new Tensor[][] {keys, values}) {
        for (Tensor layer : store) {
          page(layer, target).copy_(page(layer, source));
        }
      }
    }
  }

  private Tensor page(Tensor layer, int page) {
    return layer.narrow(0, (long) page * pageTokens, pageTokens);
  }

  @Override
  public void close() {
    for (Tensor[] store : new Tensor[][] {keys, values}) {
      for (int layer = 0; layer < store.length; layer++) {
        if (store[layer] != null) {
          store[layer].deallocate();
          store[layer] = null;
          memory.freed(TorchMemory.Use.KV_CACHE, bytesEach);
        }
      }
    }
  }
}
