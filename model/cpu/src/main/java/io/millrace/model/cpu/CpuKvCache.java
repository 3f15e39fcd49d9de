package io.millrace.model.cpu;

import io.millrace.model.cpu.tiles.Lanes;
import io.millrace.model.tensor.Arguments;
import io.millrace.model.tensor.KvCache;
import java.lang.foreign.MemorySegment;

/**
 * Each layer has keys {@code [pages, kvHeads, headDim, pageTokens]} and values {@code [pages,
 * kvHeads, pageTokens, headDim]}. With this layout the scores vectorize over positions and the
 * outputs over elements. Neither needs a sum across lanes.
 */
final class CpuKvCache implements KvCache {

  final int kvHeads;
  final int headDim;
  private final int pages;
  private final int pageTokens;
  private final CpuTensor[] keys;
  private final CpuTensor[] values;

  CpuKvCache(int layers, int pages, int pageTokens, int kvHeads, int headDim) {
    Arguments.kvCache(layers, pages, pageTokens, kvHeads, headDim);
    this.pages = pages;
    this.pageTokens = pageTokens;
    this.kvHeads = kvHeads;
    this.headDim = headDim;
    this.keys = new CpuTensor[layers];
    this.values = new CpuTensor[layers];
    int page = Math.toIntExact(pageElements());
    // Kernels load whole vectors, which can reach beyond the last page.
    int rows = Math.addExact(pages, Math.ceilDiv(Lanes.WIDTH, page));
    for (int layer = 0; layer < layers; layer++) {
      keys[layer] = CpuTensor.allocate(rows, page);
      values[layer] = CpuTensor.allocate(rows, page);
    }
  }

  int layers() {
    return keys.length;
  }

  CpuTensor keys(int layer) {
    return keys[layer];
  }

  CpuTensor values(int layer) {
    return values[layer];
  }

  /** Index of the first element of a key head in a page, for keys and for values. */
  long at(int page, int kvHead) {
    return page * pageElements() + (long) kvHead * pageTokens * headDim;
  }

  private long pageElements() {
    return (long) kvHeads * pageTokens * headDim;
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
    long bytes = pageElements() * Float.BYTES;
    for (CpuTensor[] store : new CpuTensor[][] {keys, values}) {
      for (CpuTensor layer : store) {
        MemorySegment memory = layer.memory();
        MemorySegment.copy(memory, source * bytes, memory, target * bytes, bytes);
      }
    }
  }

  @Override
  public void close() {
    for (int layer = 0; layer < keys.length; layer++) {
      keys[layer].close();
      values[layer].close();
    }
  }
}
