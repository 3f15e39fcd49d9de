package io.millrace.schemas.wire;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import org.apache.avro.Schema;

/**
 * Checks an Avro binary body against its writer's schema before Avro decodes it. A hostile or
 * damaged length becomes an error that names its place. Without the check, Avro could allocate
 * gigabytes for it. The schema may come from outside, too: a few of its bytes can describe values
 * without end that take no byte of the body.
 */
final class BodyCheck {
  private static final int MAX_DEPTH = 64;

  /** Most values of a body: some for each byte, and some that take none, such as nulls. */
  private static final int VALUES_PER_BYTE = 64;

  private static final int VALUES_WITHOUT_BYTES = 100_000;

  private final ByteBuffer body;
  private final StringBuilder path = new StringBuilder();
  private final long maxItems;
  private final long maxValues;
  private int depth;
  private long items;
  private long values;

  private BodyCheck(ByteBuffer body) {
    this.body = body;
    this.maxItems = body.remaining();
    this.maxValues = (long) VALUES_PER_BYTE * body.remaining() + VALUES_WITHOUT_BYTES;
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
          "%d bytes are left over after the %s; it is damaged or was written with another schema"
              .formatted(check.body.remaining(), writer.getName()));
    }
  }

  private void value(Schema schema) {
    if (++depth > MAX_DEPTH) {
      throw failure("values are nested deeper than %d levels".formatted(MAX_DEPTH));
    }
    if (++values > maxValues) {
      throw failure("more than %d values; the schema describes too many".formatted(maxValues));
    }
    switch (schema.getType()) {
      case NULL -> {}
      case BOOLEAN -> bool();
      case INT -> varint(5);
      case LONG -> varint(10);
      case FLOAT -> skip(4);
      case DOUBLE -> skip(8);
      case FIXED -> skip(schema.getFixedSize());
      case STRING -> text();
      case BYTES -> skip(length());
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
        varint(10); // The block's size in bytes. Only readers that skip the block need it.
        count = -count;
      }
      // Every item has at least one byte, so a count above the remaining bytes is damaged.
      if (count < 0 || count > body.remaining()) {
        throw failure("a block of %d items, but %d bytes left".formatted(count, body.remaining()));
      }
      items += count;
      if (items > maxItems) {
        throw failure("more than %d items, as many as the body has bytes".formatted(maxItems));
      }
      for (long i = 0; i < count; i++, total++) {
        path.append('[').append(total).append(']');
        if (keyed) {
          text();
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
      throw failure("a boolean is %d; it must be 0 or 1".formatted(value));
    }
  }

  private int index(int size, String what) {
    long index = varint(5);
    if (index < 0 || index >= size) {
      throw failure("index %d, but only %d %s".formatted(index, size, what));
    }
    return (int) index;
  }

  private long length() {
    long length = varint(10);
    if (length < 0) {
      throw failure("length %d is negative".formatted(length));
    }
    return length;
  }

  /** Avro itself would replace what is not UTF-8, and two ids could become one. */
  private void text() {
    long length = length();
    need(length);
    ByteBuffer bytes = body.slice(body.position(), (int) length);
    body.position(body.position() + (int) length);
    int ascii = 0;
    while (ascii < length && bytes.get(ascii) >= 0) {
      ascii++;
    }
    if (ascii < length) {
      try {
        CharBuffer _ = StandardCharsets.UTF_8.newDecoder().decode(bytes);
      } catch (CharacterCodingException e) {
        throw failure("a string is not UTF-8");
      }
    }
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
    throw failure("an integer has more than %d bytes".formatted(maxBytes));
  }

  private WireFormatException failure(String what) {
    return new WireFormatException("damaged at " + (path.isEmpty() ? "start" : path) + ": " + what);
  }
}
