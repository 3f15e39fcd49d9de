package io.millrace.model.torch.library;

import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarTypeOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Arguments of operators that never change. They are made in scopes of their own: the scope of the
 * kernel that loads this class would free them.
 */
public final class Constants {

  public static final Scalar ZERO = scalar(0);
  public static final Scalar ONE = scalar(1);
  public static final Scalar MINUS_ONE = scalar(-1);
  public static final Scalar TWO = scalar(2);
  public static final ScalarTypeOptional FLOAT = type(ScalarType.Float);
  public static final ScalarTypeOptional DOUBLE = type(ScalarType.Double);
  public static final ScalarTypeOptional LONG = type(ScalarType.Long);

  private Constants() {}

  private static Scalar scalar(double value) {
    try (PointerScope _ = new PointerScope()) {
      return new Scalar(value).<Scalar>retainReference();
    }
  }

  private static ScalarTypeOptional type(ScalarType type) {
    try (PointerScope _ = new PointerScope()) {
      return new ScalarTypeOptional(type).<ScalarTypeOptional>retainReference();
    }
  }

  /** The type of a tensor's elements. What libtorch returns is not one of the constants itself. */
  public static ScalarType typeOf(Tensor tensor) {
    return tensor.scalar_type().intern();
  }
}
