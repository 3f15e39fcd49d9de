package io.millrace.model.nd4j;

import java.util.ArrayList;
import java.util.List;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * The temporary arrays of one kernel call. They are freed when the call ends, not when the garbage
 * collector runs.
 */
final class Scratch implements AutoCloseable {

  private final List<INDArray> arrays = new ArrayList<>();

  INDArray floats(long... shape) {
    return own(Nd4j.createUninitialized(DataType.FLOAT, shape, 'c'));
  }

  INDArray ints(int... values) {
    return own(Nd4j.createFromArray(values));
  }

  /** Adds an array that an operation created; this object closes it. */
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
