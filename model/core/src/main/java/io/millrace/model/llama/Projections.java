package io.millrace.model.llama;

import io.millrace.model.llama.Weights.LowRank;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Tensor;

/**
 * The projections of a model, with the products of its adapter ({@link AdapterConfig}). With {@code
 * low = scale · x · Aᵀ}:
 *
 * <pre>
 *   out  = x · Wᵀ + low · Bᵀ
 *   dB  += doutᵀ · low
 *   dlow = dout · B
 *   dA  += scale · dlowᵀ · x
 *   dx  += dout · W + scale · dlow · A
 * </pre>
 */
final class Projections {

  private final Backend backend;
  private final Buffers buffers;

  /**
   * @param buffers memory of the model
   */
  Projections(Backend backend, Buffers buffers) {
    this.backend = backend;
    this.buffers = buffers;
  }

  /**
   * Forward pass.
   *
   * @param out overwritten, {@code [n, out]}
   * @param x {@code [n, in]}
   * @param name of W {@code [out, in]}
   */
  void forward(Tensor out, Tensor x, Weights weights, String name) {
    backend.linear(out, x, weights.get(name));
    LowRank adapter = weights.lowRank(name);
    if (adapter != null) {
      Tensor change = changeOf(out);
      backend.linear(change, low(x, weights, adapter), adapter.b());
      backend.add(out, change);
    }
  }

  /**
   * Forward pass for sampling: a row of out depends on its own row of x alone.
   *
   * @param w W
   * @param adapter null if W has none
   * @param scale of the adapter
   */
  void forwardByRow(Tensor out, Tensor x, Tensor w, LowRank adapter, double scale) {
    backend.linearByRow(out, x, w);
    if (adapter != null) {
      Tensor low = lowOf(x, adapter);
      backend.linearByRow(low, x, adapter.a());
      backend.scale(low, scale);
      Tensor change = changeOf(out);
      backend.linearByRow(change, low, adapter.b());
      backend.add(out, change);
    }
  }

  /**
   * Backward pass.
   *
   * @param dx added to, {@code [n, in]}
   * @param gradients of the trained parameters, added to
   * @param dout {@code [n, out]}
   * @param x as in the forward pass
   */
  void backward(
      Tensor dx, Parameters gradients, Tensor dout, Tensor x, Weights weights, String name) {
    backend.linearBackward(dx, gradients.find(name), dout, x, weights.get(name));
    LowRank adapter = weights.lowRank(name);
    if (adapter != null) {
      // Computed again: it costs less than the memory to keep it in.
      Tensor low = low(x, weights, adapter);
      Tensor dlow = buffers.zeroed("adapter dlow", low.rows(), low.columns());
      backend.linearBackward(dlow, gradients.get(AdapterConfig.b(name)), dout, low, adapter.b());
      backend.scale(dlow, weights.adapter().scale());
      backend.linearBackward(dx, gradients.get(AdapterConfig.a(name)), dlow, x, adapter.a());
    }
  }

  private Tensor low(Tensor x, Weights weights, LowRank adapter) {
    Tensor low = lowOf(x, adapter);
    backend.linear(low, x, adapter.a());
    backend.scale(low, weights.adapter().scale());
    return low;
  }

  private Tensor lowOf(Tensor x, LowRank adapter) {
    return buffers.get("adapter low", 0, x.rows(), adapter.a().rows());
  }

  private Tensor changeOf(Tensor out) {
    return buffers.get("adapter change " + out.columns(), 0, out.rows(), out.columns());
  }
}
