package io.millrace.schemas.wire;

import java.nio.ByteBuffer;
import org.apache.avro.Schema;

/**
 * Walks an Avro binary body by its writer's schema before Avro decodes it, so that a hostile or
 * torn length is an error that names its place instead of an allocation of gigabytes.
 */
final class BodyCheck {
  private static final int MAX_DEPTH = 64;

  private final ByteBuffer body;
  private final StringBuilder path = new StringBuilder();
  private int depth;

  private BodyCheck(ByteBuffer body) {
    this.body = body;
  }

  /**
   * Checks that {@code body} holds exactly one value of {@code writer}.
   *
   * @throws WireFormatException otherwise
   */
  static void check(Schema writer, ByteBuffer body) {
    BodyCheck check = new BodyCheck(body.slice());
    check.value(writer);
    if (check.body.hasRemaining()) {
      throw new WireFormatException(
          "%d bytes are left over after the %s; it was written with another schema, or damaged"
              .formatted(check.body.remaining(), writer.getName()));
    }
  }

  private void value(Schema schema) {
    if (++depth > MAX_DEPTH) {
      throw failure("nested deeper than " + MAX_DEPTH + " levels");
    }
    switch (schema.getType()) {
      case NULL -> {}
      case BOOLEAN -> bool();
      case INT -> varint(5);
      case LONG -> varint(10);
      case FLOAT -> skip(4);
      case DOUBLE -> skip(8);
      case FIXED -> skip(schema.getFixedSize());
      case STRING, BYTES -> skip(length());
      case ENUM -> index(schema.getEnumSymbols().size(), "symbols");
      case UNION -> value(schema.getTypes().get(index(schema.getTypes().size(), "branches")));
      case RECORD -> record(schema);
      case ARRAY -> blocks(schema.getElementType(), false);
      case MAP -> blocks(schema.getValueType(), true);
    }
    depth--;
  }

  private void record(Schema schema) {
    int mark = path.length();
    for (Schema.Field field : schema.getFields()) {
      path.append(mark == 0 ? "" : ".").append(field.name());
      value(field.schema());
      path.setLength(mark);
    }
  }

  private void blocks(Schema item, boolean keyed) {
    int mark = path.length();
    long total = 0;
    for (long count = varint(10); count != 0; count = varint(10)) {
      if (count < 0) {
        varint(10); // The block's size in bytes, which only readers that skip it need.
        count = -count;
      }
      // No item of ours is encoded in zero bytes, so more items than bytes is a damaged count.
      if (count < 0 || count > body.remaining()) {
        throw failure("%d items announced, %d bytes left".formatted(count, body.remaining()));
      }
      for (long i = 0; i < count; i++, total++) {
        path.append('[').append(total).append(']');
        if (keyed) {
          skip(length());
        }
        value(item);
        path.setLength(mark);
      }
    }
  }

  private void bool() {
    need(1);
    byte value = body.get();
    if (value != 0 && value != 1) {
      throw failure("a boolean is 0 or 1, not " + value);
    }
  }

  private int index(int size, String what) {
    long index = varint(5);
    if (index < 0 || index >= size) {
      throw failure("index %d of %d %s".formatted(index, size, what));
    }
    return (int) index;
  }

  private long length() {
    long length = varint(10);
    if (length < 0) {
      throw failure("negative length " + length);
    }
    return length;
  }

  private void skip(long bytes) {
    need(bytes);
    body.position(body.position() + (int) bytes);
  }

  private void need(long bytes) {
    if (bytes > body.remaining()) {
      throw failure("truncated: %d bytes needed, %d left".formatted(bytes, body.remaining()));
    }
  }

  /** A zig-zag variable-length integer of at most {@code maxBytes} bytes. */
  private long varint(int maxBytes) {
    long raw = 0;
    for (int i = 0; i < maxBytes; i++) {
      need(1);
      byte next = body.get();
      raw |= (long) (next & 0x7F) << (7 * i);
      if (next >= 0) {
        return (raw >>> 1) ^ -(raw & 1);
      }
    }
    throw failure("an integer longer than " + maxBytes + " bytes");
  }

  private WireFormatException failure(String what) {
    return new WireFormatException("damaged at " + (path.isEmpty() ? "start" : path) + ": " + what);
  }
}
