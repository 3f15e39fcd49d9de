package io.millrace.model.cpu;

import java.util.Arrays;

/**
 * Scratch memory of the kernels of a backend, one block for each worker. A block grows when needed
 * and is kept.
 */
final class Workspace implements AutoCloseable {

  private final CpuTensor[] pieces;

  Workspace(int workers) {
    pieces = new CpuTensor[workers];
  }

  /** At least {@code size} elements for a worker, with the values of their last use. */
  CpuTensor of(int worker, long size) {
    CpuTensor piece = pieces[worker];
    if (piece == null || piece.size() < size) {
      if (piece != null) {
        piece.close();
      }
      piece = CpuTensor.allocate(Math.toIntExact(size));
      pieces[worker] = piece;
    }
    return piece;
  }

  @Override
  public void close() {
    for (CpuTensor piece : pieces) {
      if (piece != null) {
        piece.close();
      }
    }
    Arrays.fill(pieces, null);
  }
}
