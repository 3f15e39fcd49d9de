package io.millrace.model.nd4j;

import io.millrace.model.contract.ModelGradientContract;
import io.millrace.model.tensor.Backend;

/** Gradients of whole models on {@code nd4j}. */
class Nd4jModelGradientTest extends ModelGradientContract {

  @Override
  protected Backend newBackend() {
    return new Nd4jBackend();
  }
}
