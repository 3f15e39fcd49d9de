package io.millrace.model.cpu;

import io.millrace.model.cpu.tiles.Matrix;

/** Products of float32 matrices, on the calling thread only. */
interface Gemm {

  /**
   * {@code c = a · b}, or {@code c += a · b}.
   *
   * @param worker index of the calling thread in the pool, which determines its scratch memory
   * @param m rows of a and c
   * @param n columns of b and c
   * @param k columns of a, rows of b
   * @param a {@code [m, k]}, row-major or transposed
   * @param b {@code [k, n]}, row-major or transposed
   * @param add whether to add to c instead of overwriting it
   * @param c {@code [m, n]}, row-major
   */
  void multiply(int worker, int m, int n, int k, Matrix a, Matrix b, boolean add, Matrix c);
}
