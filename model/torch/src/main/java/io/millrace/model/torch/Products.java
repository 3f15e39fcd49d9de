package io.millrace.model.torch;

import io.millrace.model.torch.library.Constants;
import io.millrace.model.torch.library.Lane;
import io.millrace.model.torch.library.Lane.Scratch;
import io.millrace.model.torch.library.TorchTensor;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Matrix products with weights. The type of the activations that go in decides the type of a
 * product; weights have a copy in that type. What comes out in another type is converted: a float32
 * result of bfloat16 activations is not rounded to bfloat16 on the way.
 */
final class Products {

  private Products() {}

  /** {@code out = x · wᵀ}. */
  static void linear(Lane lane, TorchTensor out, TorchTensor x, TorchTensor w) {
    Tensor result = out.writtenMatrix();
    if (out.type() == x.type()) {
      torch.mm_out(result, x.matrix(), w.matrixAs(x.type()).t());
    } else if (lane.device().isCuda()) {
      torch.mm_out(result, x.matrix(), w.matrixAs(x.type()).t(), ScalarType.Float);
    } else {
      torch.mm_out(result, wide(lane, Scratch.FIRST, x), w.matrixAs(ScalarType.Float).t());
    }
  }

  /** {@code dx += dout · w}, and {@code dw += doutᵀ · x} unless dw is null. */
  static void linearBackward(
      Lane lane, TorchTensor dx, TorchTensor dw, TorchTensor dout, TorchTensor x, TorchTensor w) {
    if (dout.type() == x.type()) {
      addProduct(lane, dx, dout.matrix(), w.matrixAs(dout.type()), Constants.ONE);
      if (dw != null) {
        addProduct(lane, dw, dout.matrix().t(), x.matrix(), Constants.ONE);
      }
    } else {
      // The derivative of float32 scores of bfloat16 activations.
      Tensor wideDout = wide(lane, Scratch.FIRST, dout);
      addProduct(lane, dx, wideDout, w.matrixAs(ScalarType.Float), Constants.ONE);
      if (dw != null) {
        addProduct(lane, dw, wideDout.t(), wide(lane, Scratch.THIRD, x), Constants.ONE);
      }
    }
  }

  /** {@code sum += factor · a · b}, where a and b have one type and the sum may have another. */
  static void addProduct(Lane lane, TorchTensor sum, Tensor a, Tensor b, Scalar factor) {
    addProduct(lane, sum.writtenMatrix(), a, b, factor);
  }

  static void addProduct(Lane lane, Tensor sum, Tensor a, Tensor b, Scalar factor) {
    ScalarType type = Constants.typeOf(a);
    if (Constants.typeOf(sum) == type) {
      sum.addmm_(a, b, Constants.ONE, factor);
    } else if (lane.device().isCuda() && type == ScalarType.BFloat16) {
      torch.addmm_out(sum, sum, a, b, ScalarType.Float, Constants.ONE, factor);
    } else {
      Tensor product = lane.scratch(Scratch.SECOND, type, sum.size(0), sum.size(1));
      torch.mm_out(product, a, b);
      sum.add_(product, factor);
    }
  }

  private static Tensor wide(Lane lane, Scratch name, TorchTensor x) {
    return x.type() == ScalarType.Float
        ? x.matrix()
        : lane.scratch(name, ScalarType.Float, x.rows(), x.columns()).copy_(x.matrix());
  }
}
