package io.millrace.model.checkpoint;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Writes safetensors files byte by byte, so that tests can make them wrong in every way. */
final class RawFiles {
  private RawFiles() {}

  static Path write(Path file, String header, byte... data) throws IOException {
    byte[] json = header.getBytes(StandardCharsets.UTF_8);
    return write(file, json.length, json, data);
  }

  static Path write(Path file, long headerLength, byte[] json, byte... data) throws IOException {
    ByteBuffer bytes =
        ByteBuffer.allocate(8 + json.length + data.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putLong(headerLength).put(json).put(data);
    return Files.write(file, bytes.array());
  }

  /** The header of a file with one tensor 'a'. */
  static String tensor(String dtype, String shape, String offsets) {
    return "{\"a\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":%s}}"
        .formatted(dtype, shape, offsets);
  }
}
