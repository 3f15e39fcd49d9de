package io.millrace.model.torch;

import io.millrace.model.tensor.AdamW;
import io.millrace.model.torch.library.Constants;
import io.millrace.model.torch.library.Lane;
import io.millrace.model.torch.library.Lane.Scratch;
import io.millrace.model.torch.library.Operator;
import io.millrace.model.torch.library.TorchTensor;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.GenericList;
import org.bytedeco.pytorch.IValue;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorType;
import org.bytedeco.pytorch.Type;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** AdamW in libtorch's fused operator, a chunk of the parameters at a time. */
final class FusedAdamW {

  /** Elements of a chunk: its scaled gradients are in scratch memory. */
  private static final long CHUNK_ON_CPU = 1L << 20;

  private static final long CHUNK = 1L << 26;

  private final Lane lane;

  FusedAdamW(Lane lane) {
    this.lane = lane;
  }

  /** One update in place; see {@link io.millrace.model.tensor.Backend#adamW}. */
  void update(
      TorchTensor parameters,
      TorchTensor gradients,
      TorchTensor first,
      TorchTensor second,
      AdamW settings,
      double weightDecay,
      double learningRate,
      double gradientScale,
      long step) {
    Tensor p = parameters.writtenVector();
    Tensor m = first.writtenVector();
    Tensor v = second.writtenVector();
    Tensor g = gradients.vector();
    Tensor steps = lane.device().zeros(ScalarType.Float, 1).fill_(new Scalar((double) step));
    Scalar factor = new Scalar(gradientScale);
    long chunk = lane.device().isCpu() ? CHUNK_ON_CPU : CHUNK;
    for (long from = 0; from < parameters.size(); from += chunk) {
      long length = Math.min(chunk, parameters.size() - from);
      try (PointerScope _ = new PointerScope()) {
        Tensor scaled = g.narrow(0, from, length);
        if (gradientScale != 1) {
          // The operator would overwrite the gradients if it scaled them itself.
          scaled =
              torch.mul_out(
                  lane.scratch(Scratch.FIRST, ScalarType.Float, 1, length).view(length),
                  scaled,
                  factor);
        }
        if (lane.device().isMeta()) {
          // The operator has no kernel there. A sum shows as well whether the devices differ.
          p.narrow(0, from, length)
              .add_(m.narrow(0, from, length), Constants.ONE)
              .add_(v.narrow(0, from, length), Constants.ONE)
              .add_(scaled, Constants.ONE)
              .add_(steps, Constants.ONE);
          continue;
        }
        Tensor[] none =
            Operator.FUSED_ADAMW.call(
                0,
                list(p.narrow(0, from, length)),
                list(scaled),
                list(m.narrow(0, from, length)),
                list(v.narrow(0, from, length)),
                list(),
                list(steps),
                new IValue(learningRate),
                new IValue(settings.beta1()),
                new IValue(settings.beta2()),
                new IValue(weightDecay),
                new IValue(settings.epsilon()),
                new IValue(false),
                new IValue(false),
                new IValue(),
                new IValue());
        assert none.length == 0;
      }
    }
  }

  private static IValue list(Tensor... tensors) {
    GenericList list = new GenericList(new Type.TypePtr(TensorType.get()));
    for (Tensor tensor : tensors) {
      list.push_back(new IValue(tensor));
    }
    return new IValue(list);
  }
}
