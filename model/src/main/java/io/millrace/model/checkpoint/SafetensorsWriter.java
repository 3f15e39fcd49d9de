package io.millrace.model.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;

/** Writes a safetensors file of float32 tensors, one chunk in memory at a time. */
final class SafetensorsWriter {
  /** Values copied at a time: one megabyte, well above a device transfer's fixed cost. */
  private static final int CHUNK = 1 << 18;

  /** The data begin at a multiple of this, so that mapped values can be read aligned. */
  private static final int ALIGNMENT = 8;

  private static final JsonFactory JSON = new JsonFactory();

  private SafetensorsWriter() {}

  static void write(
      Path path, Map<String, ? extends TensorSource> tensors, Map<String, String> metadata) {
    byte[] header = header(path, tensors, metadata);
    try (FileChannel channel =
        FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      try {
        writeFully(channel, ByteBuffer.wrap(header));
        writeValues(channel, tensors);
        channel.force(true);
      } catch (IOException | RuntimeException e) {
        Files.deleteIfExists(path);
        throw e;
      }
    } catch (FileAlreadyExistsException e) {
      throw CheckpointException.of(path, "exists already, and is not overwritten", e);
    } catch (IOException e) {
      throw CheckpointException.of(path, "cannot be written: " + e, e);
    }
  }

  /** Length and JSON, padded with spaces. */
  private static byte[] header(
      Path path, Map<String, ? extends TensorSource> tensors, Map<String, String> metadata) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(new byte[Long.BYTES]);
    try (JsonGenerator json = JSON.createGenerator(out)) {
      json.writeStartObject();
      if (!metadata.isEmpty()) {
        json.writeObjectFieldStart(SafetensorsHeader.METADATA);
        // Sorted: the order of a Map.of differs from run to run, the bytes must not.
        for (Map.Entry<String, String> entry : new TreeMap<>(metadata).entrySet()) {
          json.writeStringField(entry.getKey(), entry.getValue());
        }
        json.writeEndObject();
      }
      long begin = 0;
      for (Map.Entry<String, ? extends TensorSource> entry : tensors.entrySet()) {
        begin = writeTensor(json, path, entry.getKey(), entry.getValue().shape(), begin);
      }
      json.writeEndObject();
    } catch (IOException e) {
      throw CheckpointException.of(path, "the header cannot be written: " + e, e);
    }
    while (out.size() % ALIGNMENT != 0) {
      out.write(' ');
    }
    byte[] bytes = out.toByteArray();
    int length = bytes.length - Long.BYTES;
    if (length > SafetensorsHeader.MAX_BYTES) {
      throw CheckpointException.of(
          path,
          "header of "
              + length
              + " bytes is above the format's limit of "
              + SafetensorsHeader.MAX_BYTES
              + ": write fewer tensors to a file");
    }
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putLong(0, length);
    return bytes;
  }

  private static long writeTensor(
      JsonGenerator json, Path path, String name, int[] shape, long begin) throws IOException {
    if (name.equals(SafetensorsHeader.METADATA)) {
      throw CheckpointException.ofTensor(path, name, "this name is reserved by the format");
    }
    long end;
    try {
      end =
          Math.addExact(
              begin, Math.multiplyExact(TensorSource.elementCount(shape), (long) Float.BYTES));
    } catch (ArithmeticException | IllegalArgumentException e) {
      throw CheckpointException.ofTensor(
          path, name, "shape " + Arrays.toString(shape) + " is negative or overflows");
    }
    json.writeObjectFieldStart(name);
    json.writeStringField("dtype", DType.F32.name());
    json.writeFieldName("shape");
    json.writeArray(shape, 0, shape.length);
    json.writeFieldName("data_offsets");
    json.writeArray(new long[] {begin, end}, 0, 2);
    json.writeEndObject();
    return end;
  }

  private static void writeValues(FileChannel channel, Map<String, ? extends TensorSource> tensors)
      throws IOException {
    float[] chunk = new float[CHUNK];
    ByteBuffer bytes =
        ByteBuffer.allocateDirect(CHUNK * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    for (Map.Entry<String, ? extends TensorSource> entry : tensors.entrySet()) {
      long count = TensorSource.elementCount(entry.getValue().shape());
      for (long first = 0; first < count; first += CHUNK) {
        int length = (int) Math.min(CHUNK, count - first);
        entry.getValue().read(first, chunk, length);
        bytes.clear();
        bytes.asFloatBuffer().put(chunk, 0, length);
        writeFully(channel, bytes.limit(length * Float.BYTES));
      }
    }
  }

  private static void writeFully(FileChannel channel, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }
}
