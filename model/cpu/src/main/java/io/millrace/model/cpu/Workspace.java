package io.millrace.model.cpu;

import java.util.Arrays;

/** Scratch memory of a backend's kernels, one piece a worker: it grows and is kept. */
final class Workspace implements AutoCloseable {

  private final CpuTensor[] pieces;

  Workspace(int workers) {
    pieces = new CpuTensor[workers];
  }

  /** At least {@code size} elements with whatever they held before, for one worker. */
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
