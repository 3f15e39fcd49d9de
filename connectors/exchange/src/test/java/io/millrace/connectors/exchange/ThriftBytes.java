package io.millrace.connectors.exchange;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;

/** A struct in Thrift's compact protocol, as far as Parquet needs it. */
final class ThriftBytes {
  private static final int I32 = 5;
  private static final int I64 = 6;
  private static final int BINARY = 8;
  private static final int LIST = 9;
  private static final int STRUCT = 12;

  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private int last;

  private ThriftBytes field(int id, int type) {
    out.write((id - last) << 4 | type);
    last = id;
    return this;
  }

  private void varint(long value) {
    long left = value;
    while ((left & ~0x7FL) != 0) {
      out.write((int) (left & 0x7F) | 0x80);
      left >>>= 7;
    }
    out.write((int) left);
  }

  private void zigzag(long value) {
    varint(value << 1 ^ value >> 63);
  }

  ThriftBytes i32(int id, int value) {
    field(id, I32).zigzag(value);
    return this;
  }

  ThriftBytes i64(int id, long value) {
    field(id, I64).zigzag(value);
    return this;
  }

  ThriftBytes text(int id, String value) {
    field(id, BINARY).bytes(value.getBytes(StandardCharsets.UTF_8));
    return this;
  }

  private void bytes(byte[] value) {
    varint(value.length);
    out.writeBytes(value);
  }

  ThriftBytes struct(int id, ThriftBytes value) {
    field(id, STRUCT).out.writeBytes(value.end());
    return this;
  }

  ThriftBytes structs(int id, List<ThriftBytes> values) {
    field(id, LIST).listHeader(values.size(), STRUCT);
    values.forEach(value -> out.writeBytes(value.end()));
    return this;
  }

  ThriftBytes i32s(int id, int value) {
    field(id, LIST).listHeader(1, I32);
    zigzag(value);
    return this;
  }

  ThriftBytes texts(int id, List<String> values) {
    field(id, LIST).listHeader(values.size(), BINARY);
    values.forEach(value -> bytes(value.getBytes(StandardCharsets.UTF_8)));
    return this;
  }

  private void listHeader(int size, int type) {
    if (size < 15) {
      out.write(size << 4 | type);
    } else {
      out.write(0xF0 | type);
      varint(size);
    }
  }

  /** The bytes of the whole struct. */
  byte[] end() {
    byte[] fields = out.toByteArray();
    // The last byte, 0, stops the struct.
    return Arrays.copyOf(fields, fields.length + 1);
  }
}
