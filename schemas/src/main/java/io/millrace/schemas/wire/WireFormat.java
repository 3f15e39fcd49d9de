package io.millrace.schemas.wire;

import io.millrace.schemas.Nearest;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** The formats of values in topics. The first bytes of a value tell them apart. */
public enum WireFormat {
  /** {@link SingleObject}: {@code C3 01}, the fingerprint of the writer's schema, the body. */
  SINGLE_OBJECT("single-object"),
  /** Framing of Confluent's serializers: {@code 00}, the id of a registered schema, the body. */
  CONFLUENT("confluent"),
  /** A JSON object in UTF-8, see {@link JsonLines}. */
  JSON("json");

  private final String text;

  WireFormat(String text) {
    this.text = text;
  }

  /** The name in configurations. */
  @Override
  public String toString() {
    return text;
  }

  /**
   * The format of that name.
   *
   * @throws IllegalArgumentException for another name, with the nearest one
   */
  public static WireFormat named(String name) {
    List<String> names = Arrays.stream(values()).map(WireFormat::toString).toList();
    return Arrays.stream(values())
        .filter(format -> format.text.equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "'%s' is no format%s".formatted(name, Nearest.hint(name, names))));
  }

  /** The format that the first bytes of a value show; empty for bytes of none. */
  static Optional<WireFormat> of(byte[] value) {
    if (value.length >= 2 && value[0] == (byte) 0xC3 && value[1] == 0x01) {
      return Optional.of(SINGLE_OBJECT);
    }
    if (value.length > 0 && value[0] == 0) {
      return Optional.of(CONFLUENT);
    }
    int start = jsonStart(value);
    return start < value.length && value[start] == '{' ? Optional.of(JSON) : Optional.empty();
  }

  /** The first byte after a byte order mark and white space. */
  static int jsonStart(byte[] value) {
    int start =
        value.length >= 3
                && value[0] == (byte) 0xEF
                && value[1] == (byte) 0xBB
                && value[2] == (byte) 0xBF
            ? 3
            : 0;
    while (start < value.length && " \t\r\n".indexOf(value[start]) >= 0) {
      start++;
    }
    return start;
  }
}
