package io.millrace.model.checkpoint;

/**
 * Element types of the safetensors format, and the size of each.
 *
 * @see <a href="https://github.com/huggingface/safetensors">the format</a>
 */
public enum DType {
  BOOL(8),
  F4(4),
  F6_E2M3(6),
  F6_E3M2(6),
  U8(8),
  I8(8),
  F8_E5M2(8),
  F8_E4M3(8),
  F8_E8M0(8),
  F8_E4M3FNUZ(8),
  F8_E5M2FNUZ(8),
  I16(16),
  U16(16),
  F16(16),
  BF16(16),
  I32(32),
  U32(32),
  F32(32),
  C64(64),
  F64(64),
  I64(64),
  U64(64);

  private final int bits;

  DType(int bits) {
    this.bits = bits;
  }

  /** Bits of one element. */
  public int bits() {
    return bits;
  }

  /** Whether a model can read the type: whether float32 holds every value exactly. */
  public boolean isReadable() {
    return this == F32 || this == F16 || this == BF16;
  }

  /**
   * PyTorch's name of the type.
   *
   * @throws IllegalArgumentException if weights cannot be written as this type
   */
  String torchName() {
    return switch (this) {
      case F32 -> "float32";
      case BF16 -> "bfloat16";
      default ->
          throw new IllegalArgumentException(
              "type is " + this + " but weights are written as F32 or BF16");
    };
  }

  /** The type with the given name, or null. */
  static DType named(String name) {
    for (DType type : values()) {
      if (type.name().equals(name)) {
        return type;
      }
    }
    return null;
  }
}
