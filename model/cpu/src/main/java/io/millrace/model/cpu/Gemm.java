package io.millrace.model.cpu;

import io.millrace.model.cpu.tiles.Matrix;

/** Products of single-precision matrices, on the calling thread alone. */
public interface Gemm {

  /**
   * c [m, n] = or += a [m, k] · b [k, n].
   *
   * @param worker whose scratch memory it may use
   * @param add whether c is added to, not overwritten
   * @param c by rows
   */
  void multiply(int worker, int m, int n, int k, Matrix a, Matrix b, boolean add, Matrix c);
}
