package io.millrace.model.tensor.cpu;

/** Products of single-precision matrices, on the calling thread alone. */
interface Gemm {

  /**
   * c [m, n] = or += a [m, k] · b [k, n].
   *
   * @param worker whose scratch memory it may use
   * @param add whether c is added to, not overwritten
   * @param c by rows
   */
  void multiply(int worker, int m, int n, int k, Matrix a, Matrix b, boolean add, Matrix c);
}
