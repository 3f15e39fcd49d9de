package io.millrace.model.nd4j;

import java.util.ArrayList;
import java.util.List;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** The temporaries of one kernel call; freed when it ends rather than when a collector runs. */
final class Scratch implements AutoCloseable {

  private final List<INDArray> arrays = new ArrayList<>();

  INDArray floats(long... shape) {
    return own(Nd4j.createUninitialized(DataType.FLOAT, shape, 'c'));
  }

  INDArray ints(int... values) {
    return own(Nd4j.createFromArray(values));
  }

  /** Takes over an array that an operation made. */
  INDArray own(INDArray array) {
    arrays.add(array);
    return array;
  }

  @Override
  public void close() {
    for (INDArray array : arrays) {
      if (array.closeable()) {
        array.close();
      }
    }
  }
}
