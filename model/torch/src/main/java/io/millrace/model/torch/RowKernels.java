package io.millrace.model.torch;

import io.millrace.model.tensor.Rope;
import io.millrace.model.torch.library.Constants;
import io.millrace.model.torch.library.Lane;
import io.millrace.model.torch.library.Lane.Scratch;
import io.millrace.model.torch.library.TorchTensor;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * RMSNorm, rotary embedding and SwiGLU in operators of libtorch. Norms and rotations of bfloat16
 * activations are computed in float32 and rounded once. Each step of SwiGLU is rounded.
 */
final class RowKernels {

  private RowKernels() {}

  /** r = 1 / √(mean(x²) + ε) of every row, {@code [n, 1]}, in float32. */
  private static Tensor inverseRms(Tensor x, float epsilon) {
    Tensor norm = torch.linalg_vector_norm(x, Constants.TWO, new long[] {1}, true, Constants.FLOAT);
    return norm.mul_(norm)
        .mul_(new Scalar(1.0 / x.size(1)))
        .add_(new Scalar((double) epsilon), Constants.ONE)
        .rsqrt_();
  }

  /** {@code out = x · r ∘ w}. */
  static void rmsNorm(Lane lane, Tensor out, Tensor x, Tensor w, float epsilon) {
    Tensor r = inverseRms(x, epsilon);
    Tensor sum = Constants.typeOf(out) == ScalarType.Float ? out : like(lane, Scratch.FIRST, x);
    torch.mul_out(sum, x, r);
    torch.mul_out(out, sum, w);
  }

  /**
   * Adds to dx, and to dw unless it is null; see {@link
   * io.millrace.model.tensor.Backend#rmsNormBackward}.
   */
  static void rmsNormBackward(
      Lane lane, Tensor dx, Tensor dw, Tensor dout, Tensor x, Tensor w, float epsilon) {
    Tensor r = inverseRms(x, epsilon);
    Tensor wide = wide(lane, Scratch.SECOND, x);
    Tensor product = like(lane, Scratch.FIRST, x);
    torch.mul_out(product, dout, wide);
    // Σ_j g_j · x_j of every row, and dw += Σ_rows r · dout ∘ x: both are matrix-vector products.
    Tensor dot = product.mv(w);
    if (dw != null) {
      dw.addmv_(product.t(), r.view(x.size(0)));
    }
    Tensor factor = r.mul(r).mul_(r).mul_(dot.view(x.size(0), 1));
    factor.mul_(new Scalar(1.0 / x.size(1)));
    Tensor g = torch.mul_out(product, dout, w);
    if (Constants.typeOf(dx) == ScalarType.Float) {
      dx.addcmul_(g, r, Constants.ONE).addcmul_(wide, factor, Constants.MINUS_ONE);
    } else {
      g.mul_(r).addcmul_(wide, factor, Constants.MINUS_ONE);
      dx.add_(g, Constants.ONE);
    }
  }

  /** Rotates in place. */
  static void rope(Lane lane, TorchTensor x, int[] positions, Rope rope, boolean backward) {
    Tensor cos = lane.cos(rope, positions);
    Tensor sin = lane.sin(rope, positions);
    Tensor matrix = x.writtenMatrix();
    Tensor wide = wide(lane, Scratch.SECOND, matrix);
    int n = x.rows();
    int columns = x.columns();
    int d = rope.headDim();
    long[] shape = {n, columns / d, d / 2};
    long[] strides = {columns, d, 1};
    long start = wide.storage_offset();
    Tensor a = wide.as_strided(shape, strides, new LongOptional(start));
    Tensor b = wide.as_strided(shape, strides, new LongOptional(start + d / 2));
    Tensor aSin = lane.scratch(Scratch.FIRST, ScalarType.Float, n, columns / 2).view(shape);
    Scalar plus = backward ? Constants.MINUS_ONE : Constants.ONE;
    Scalar minus = backward ? Constants.ONE : Constants.MINUS_ONE;
    torch.mul_out(aSin, a, sin);
    a.mul_(cos).addcmul_(b, sin, minus);
    b.mul_(cos).add_(aSin, plus);
    if (wide.address() != matrix.address()) {
      matrix.copy_(wide);
    }
  }

  /** {@code out = gate ∘ σ(gate) ∘ up}. */
  static void swiGlu(Tensor out, Tensor gate, Tensor up) {
    torch.silu_out(out, gate).mul_(up);
  }

  /** Overwrites dgate and dup, which may be gate and up. */
  static void swiGluBackward(
      Lane lane, Tensor dgate, Tensor dup, Tensor dout, Tensor gate, Tensor up) {
    ScalarType type = Constants.typeOf(gate);
    Tensor dSilu = lane.scratch(Scratch.FIRST, type, gate.size(0), gate.size(1));
    Tensor silu = lane.scratch(Scratch.SECOND, type, gate.size(0), gate.size(1));
    torch.mul_out(dSilu, dout, up);
    torch.silu_out(silu, gate);
    torch.mul_out(dup, dout, silu);
    torch.silu_backward_out(dgate, dSilu, gate);
  }

  /** The matrix in float32: itself, or a copy in scratch memory. */
  private static Tensor wide(Lane lane, Scratch name, Tensor matrix) {
    return Constants.typeOf(matrix) == ScalarType.Float
        ? matrix
        : like(lane, name, matrix).copy_(matrix);
  }

  /** Scratch memory of the shape of a matrix, in float32. */
  private static Tensor like(Lane lane, Scratch name, Tensor matrix) {
    return lane.scratch(name, ScalarType.Float, matrix.size(0), matrix.size(1));
  }
}
