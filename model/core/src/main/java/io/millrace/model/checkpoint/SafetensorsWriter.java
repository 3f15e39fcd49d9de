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

/**
 * Writes a safetensors file with tensors of one type. It holds one chunk of values in memory at a
 * time.
 */
final class SafetensorsWriter {
  /**
   * Values of a chunk: one megabyte, which makes the fixed cost of a device transfer negligible.
   */
  private static final int CHUNK = 1 << 18;

  /** The data begin at a multiple of this many bytes, which aligns mapped values. */
  private static final int ALIGNMENT = 8;

  private static final JsonFactory JSON = new JsonFactory();

  private final Path path;
  private final DType dtype;

  SafetensorsWriter(Path path, DType dtype) {
    if (dtype != DType.F32 && dtype != DType.BF16) {
      throw new IllegalArgumentException(
          "type is " + dtype + " but tensors are written as F32 or BF16");
    }
    this.path = path;
    this.dtype = dtype;
  }

  void write(Map<String, ? extends TensorSource> tensors, Map<String, String> metadata) {
    byte[] header = header(tensors, metadata);
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
      throw CheckpointException.of(path, "exists already; write to a new file", e);
    } catch (IOException e) {
      throw CheckpointException.of(path, "cannot be written: " + e, e);
    }
  }

  /** The length and the JSON, padded with spaces. */
  private byte[] header(Map<String, ? extends TensorSource> tensors, Map<String, String> metadata) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(new byte[Long.BYTES]);
    try (JsonGenerator json = JSON.createGenerator(out)) {
      json.writeStartObject();
      if (!metadata.isEmpty()) {
        json.writeObjectFieldStart(SafetensorsHeader.METADATA);
        // Sorted, because the order of a Map.of differs from run to run.
        for (Map.Entry<String, String> entry : new TreeMap<>(metadata).entrySet()) {
          json.writeStringField(entry.getKey(), entry.getValue());
        }
        json.writeEndObject();
      }
      long begin = 0;
      for (Map.Entry<String, ? extends TensorSource> entry : tensors.entrySet()) {
        begin = writeTensor(json, entry.getKey(), entry.getValue().shape(), begin);
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
              + "; write fewer tensors to a file");
    }
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putLong(0, length);
    return bytes;
  }

  private long writeTensor(JsonGenerator json, String name, int[] shape, long begin)
      throws IOException {
    if (name.equals(SafetensorsHeader.METADATA)) {
      throw CheckpointException.ofTensor(path, name, "the format reserves this name; use another");
    }
    long end;
    try {
      end =
          Math.addExact(
              begin, Math.multiplyExact(TensorSource.elementCount(shape), dtype.bits() / 8L));
    } catch (ArithmeticException | IllegalArgumentException e) {
      throw CheckpointException.ofTensor(
          path, name, "shape " + Arrays.toString(shape) + " is negative or overflows");
    }
    json.writeObjectFieldStart(name);
    json.writeStringField("dtype", dtype.name());
    json.writeFieldName("shape");
    json.writeArray(shape, 0, shape.length);
    json.writeFieldName("data_offsets");
    json.writeArray(new long[] {begin, end}, 0, 2);
    json.writeEndObject();
    return end;
  }

  private void writeValues(FileChannel channel, Map<String, ? extends TensorSource> tensors)
      throws IOException {
    float[] chunk = new float[CHUNK];
    short[] halves = new short[dtype == DType.BF16 ? CHUNK : 0];
    ByteBuffer bytes =
        ByteBuffer.allocateDirect(CHUNK * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    for (Map.Entry<String, ? extends TensorSource> entry : tensors.entrySet()) {
      long count = TensorSource.elementCount(entry.getValue().shape());
      for (long first = 0; first < count; first += CHUNK) {
        int length = (int) Math.min(CHUNK, count - first);
        entry.getValue().read(first, chunk, length);
        bytes.clear();
        if (dtype == DType.F32) {
          bytes.asFloatBuffer().put(chunk, 0, length);
        } else {
          round(entry.getKey(), chunk, halves, length);
          bytes.asShortBuffer().put(halves, 0, length);
        }
        writeFully(channel, bytes.limit(length * dtype.bits() / 8));
      }
    }
  }

  /** Rounds to bfloat16, the upper half of a float32: to nearest, ties to even. */
  private void round(String name, float[] values, short[] halves, int length) {
    for (int i = 0; i < length; i++) {
      int bits = Float.floatToRawIntBits(values[i]);
      halves[i] = (short) ((bits + 0x7FFF + ((bits >>> 16) & 1)) >>> 16);
    }
    for (int i = 0; i < length; i++) {
      // Rounding up can overflow the exponent of a finite number.
      if ((halves[i] & 0x7F80) == 0x7F80) {
        throw CheckpointException.ofTensor(
            path, name, values[i] + " overflows BF16: write it as F32");
      }
    }
  }

  private static void writeFully(FileChannel channel, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }
}
