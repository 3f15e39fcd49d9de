package io.millrace.model.checkpoint;

import io.millrace.schemas.PlainFiles;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/**
 * A memory-mapped safetensors file. It begins with eight bytes for the length of the header. A JSON
 * header follows, with names, types, shapes and offsets. Then come the values, little-endian and
 * row-major.
 *
 * <p>{@link #open} checks the whole header against the size of the file first. Several threads may
 * read at once. Closing unmaps the file; arrays that were read stay valid.
 *
 * @see <a href="https://github.com/huggingface/safetensors#format">the format</a>
 */
public final class Safetensors implements AutoCloseable {
  private static final int LENGTH_BYTES = Long.BYTES;

  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  /**
   * 16-bit values are widened in runs of this many, through an array that fits the first-level
   * cache.
   */
  private static final int RUN = 4096;

  private final Path path;
  private final Arena arena;
  private final MemorySegment data;
  private final SafetensorsHeader header;

  private Safetensors(Path path, Arena arena, MemorySegment data, SafetensorsHeader header) {
    this.path = path;
    this.arena = arena;
    this.data = data;
    this.header = header;
  }

  private static FileChannel open(Path path, StandardOpenOption option) throws IOException {
    PlainFiles.require(path);
    return FileChannel.open(path, option);
  }

  /**
   * Maps a file and checks its header.
   *
   * @throws CheckpointException if the file cannot be read or breaks a rule of the format
   */
  public static Safetensors open(Path path) {
    Arena arena = Arena.ofShared();
    try (FileChannel channel = open(path, StandardOpenOption.READ)) {
      MemorySegment file = channel.map(MapMode.READ_ONLY, 0, channel.size(), arena);
      long headerBytes = headerLength(path, file);
      byte[] json = file.asSlice(LENGTH_BYTES, headerBytes).toArray(ValueLayout.JAVA_BYTE);
      MemorySegment data = file.asSlice(LENGTH_BYTES + headerBytes);
      SafetensorsHeader header = SafetensorsHeader.parse(path, json, data.byteSize());
      return new Safetensors(path, arena, data, header);
    } catch (NoSuchFileException e) {
      arena.close();
      throw CheckpointException.of(path, "no such file", e);
    } catch (IOException e) {
      arena.close();
      throw CheckpointException.of(path, "cannot be read: " + PlainFiles.reason(e), e);
    } catch (RuntimeException e) {
      arena.close();
      throw e;
    }
  }

  private static long headerLength(Path path, MemorySegment file) {
    if (file.byteSize() < LENGTH_BYTES) {
      throw CheckpointException.of(
          path, "file of " + file.byteSize() + " bytes is too short to be a safetensors file");
    }
    long length = file.get(LONG, 0);
    if (Long.compareUnsigned(length, SafetensorsHeader.MAX_BYTES) > 0) {
      throw CheckpointException.of(
          path,
          "header length "
              + Long.toUnsignedString(length)
              + " is above the format's limit of "
              + SafetensorsHeader.MAX_BYTES);
    }
    if (length > file.byteSize() - LENGTH_BYTES) {
      throw CheckpointException.of(
          path,
          "header length "
              + length
              + " is beyond the end of the file, which has "
              + file.byteSize()
              + " bytes");
    }
    return length;
  }

  /**
   * Writes tensors in the map's order, and reads each source in pieces. The same tensors and
   * metadata give the same bytes. The file is forced to disk before this method returns.
   *
   * @param path a file that does not exist yet
   * @param dtype F32 or BF16
   * @param metadata free text by key
   * @throws CheckpointException if the file exists or cannot be written; no part of it remains
   */
  public static void write(
      Path path,
      Map<String, ? extends TensorSource> tensors,
      DType dtype,
      Map<String, String> metadata) {
    new SafetensorsWriter(path, dtype).write(tensors, metadata);
  }

  /** As {@link #write(Path, Map, DType, Map)}, as F32. */
  public static void write(
      Path path, Map<String, ? extends TensorSource> tensors, Map<String, String> metadata) {
    write(path, tensors, DType.F32, metadata);
  }

  /** Names of the tensors, in the order of the header. */
  public Set<String> names() {
    return header.tensors().keySet();
  }

  /** Free text of the header by key; empty if there is none. */
  public Map<String, String> metadata() {
    return header.metadata();
  }

  /** The file. */
  public Path path() {
    return path;
  }

  /**
   * Type, shape and position of a tensor.
   *
   * @throws CheckpointException if there is no tensor of that name
   */
  public TensorInfo info(String name) {
    TensorInfo info = header.tensors().get(name);
    if (info == null) {
      throw CheckpointException.ofTensor(
          path, name, "is not in the file" + CheckpointException.nearest(name, names()));
    }
    return info;
  }

  /**
   * All values of a tensor of type F32, F16 or BF16, in row-major order. The conversion to float32
   * is exact.
   *
   * @throws CheckpointException for another type, or if the tensor has more values than an array
   *     can hold
   */
  public float[] readFloats(String name) {
    float[] values = new float[arrayLength(name)];
    readInto(name, values, 0);
    return values;
  }

  /**
   * Reads all values of a tensor into {@code dst}, from {@code dstOffset} on.
   *
   * @throws IndexOutOfBoundsException if the values do not fit
   */
  public void readInto(String name, float[] dst, int dstOffset) {
    read(name, 0, dst, dstOffset, arrayLength(name));
  }

  /**
   * Reads {@code count} values of a tensor, from {@code first} on, in row-major order.
   *
   * @throws IndexOutOfBoundsException if the tensor or the array is too short
   */
  public void read(String name, long first, float[] dst, int dstOffset, int count) {
    TensorInfo info = info(name);
    Objects.checkFromIndexSize(first, count, info.elementCount());
    Objects.checkFromIndexSize(dstOffset, count, dst.length);
    long offset = info.begin() + first * (info.dtype().bits() / 8);
    switch (info.dtype()) {
      case F32 -> MemorySegment.copy(data, FLOAT, offset, dst, dstOffset, count);
      case F16, BF16 -> widen(info.dtype(), offset, dst, dstOffset, count);
      default ->
          throw CheckpointException.ofTensor(
              path, name, "type is " + info.dtype() + " but must be F32, F16 or BF16");
    }
  }

  private void widen(DType dtype, long offset, float[] dst, int dstOffset, int count) {
    short[] halves = new short[Math.min(RUN, count)];
    for (int done = 0; done < count; done += RUN) {
      int length = Math.min(RUN, count - done);
      MemorySegment.copy(data, SHORT, offset + 2L * done, halves, 0, length);
      int to = dstOffset + done;
      if (dtype == DType.F16) {
        for (int i = 0; i < length; i++) {
          dst[to + i] = Float.float16ToFloat(halves[i]);
        }
      } else {
        // bfloat16 is the upper half of a float32.
        for (int i = 0; i < length; i++) {
          dst[to + i] = Float.intBitsToFloat(halves[i] << 16);
        }
      }
    }
  }

  /** The bytes of a tensor in the mapping. */
  MemorySegment bytes(String name) {
    TensorInfo info = info(name);
    return data.asSlice(info.begin(), info.byteCount());
  }

  private int arrayLength(String name) {
    long count = info(name).elementCount();
    if (count > Integer.MAX_VALUE - 8) {
      throw CheckpointException.ofTensor(
          path, name, count + " values do not fit one array; read the tensor in pieces");
    }
    return (int) count;
  }

  /** Unmaps the file. Further reads throw {@link IllegalStateException}. */
  @Override
  public void close() {
    arena.close();
  }
}
