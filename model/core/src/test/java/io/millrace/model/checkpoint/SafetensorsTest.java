package io.millrace.model.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Safetensors files: round trips, the documented bytes, and exact conversion of 16-bit types. */
class SafetensorsTest {
  @TempDir Path dir;

  /**
   * Random bit patterns: every kind of float32, with both zeros, subnormals, infinities and NaNs
   * with payload.
   */
  private static float[] anyFloats(int count, long seed) {
    Random random = new Random(seed);
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = Float.intBitsToFloat(random.nextInt());
    }
    return values;
  }

  private static int[] bits(float[] values) {
    int[] bits = new int[values.length];
    for (int i = 0; i < bits.length; i++) {
      bits[i] = Float.floatToRawIntBits(values[i]);
    }
    return bits;
  }

  private static Map<String, TensorSource> sources() {
    Map<String, TensorSource> tensors = new LinkedHashMap<>();
    tensors.put("z", TensorSource.of(new int[] {3, 5}, anyFloats(15, 1)));
    tensors.put("größe \"1\"", TensorSource.of(new int[] {}, anyFloats(1, 2)));
    tensors.put("empty", TensorSource.of(new int[] {0, 7}, new float[0]));
    // More than one chunk of the writer, and not a whole number of chunks.
    tensors.put("a", TensorSource.of(new int[] {600_001}, anyFloats(600_001, 3)));
    return tensors;
  }

  @Test
  void roundTripsBitForBit() {
    Path file = dir.resolve("x.safetensors");
    Map<String, TensorSource> tensors = sources();
    Safetensors.write(file, tensors, Map.of("format", "pt", "by", "test"));
    try (Safetensors opened = Safetensors.open(file)) {
      assertEquals(List.copyOf(tensors.keySet()), List.copyOf(opened.names()));
      assertEquals(Map.of("format", "pt", "by", "test"), opened.metadata());
      assertArrayEquals(bits(anyFloats(15, 1)), bits(opened.readFloats("z")));
      assertArrayEquals(bits(anyFloats(1, 2)), bits(opened.readFloats("größe \"1\"")));
      assertArrayEquals(new float[0], opened.readFloats("empty"));
      assertArrayEquals(bits(anyFloats(600_001, 3)), bits(opened.readFloats("a")));
      assertArrayEquals(new long[] {3, 5}, opened.info("z").shape());
      assertEquals(DType.F32, opened.info("z").dtype());
      assertEquals(60, opened.info("z").byteCount());
    }
  }

  @Test
  void writesAlignedHeaderAndTheSameBytesEachTime() throws IOException {
    Path first = dir.resolve("first");
    Path second = dir.resolve("second");
    Safetensors.write(first, sources(), Map.of("a", "1", "b", "2", "c", "3"));
    Map<String, String> otherOrder = new LinkedHashMap<>();
    otherOrder.put("c", "3");
    otherOrder.put("b", "2");
    otherOrder.put("a", "1");
    Safetensors.write(second, sources(), otherOrder);
    assertEquals(-1, Files.mismatch(first, second));
    byte[] bytes = Files.readAllBytes(first);
    long length = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
    assertEquals(0, length % 8);
    assertEquals('{', bytes[8]);
  }

  @Test
  void writesTheDocumentedBytes() throws IOException {
    Path file = dir.resolve("x");
    Safetensors.write(
        file, Map.of("w", TensorSource.of(new int[] {2}, new float[] {1, -2})), Map.of());
    String header = "{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}";
    header = header + " ".repeat((8 - header.length() % 8) % 8);
    ByteBuffer expected =
        ByteBuffer.allocate(8 + header.length() + 8).order(ByteOrder.LITTLE_ENDIAN);
    expected.putLong(header.length()).put(header.getBytes(StandardCharsets.UTF_8));
    expected.putInt(0x3f800000).putInt(0xc0000000);
    assertArrayEquals(expected.array(), Files.readAllBytes(file));
  }

  @Test
  void readsPiecesIntoPlace() {
    Path file = dir.resolve("x");
    float[] values = {0, 1, 2, 3, 4, 5};
    Safetensors.write(file, Map.of("w", TensorSource.of(new int[] {2, 3}, values)), Map.of());
    try (Safetensors opened = Safetensors.open(file)) {
      float[] dst = new float[8];
      opened.readInto("w", dst, 1);
      assertArrayEquals(new float[] {0, 0, 1, 2, 3, 4, 5, 0}, dst);
      opened.read("w", 4, dst, 0, 2);
      assertArrayEquals(new float[] {4, 5, 1, 2, 3, 4, 5, 0}, dst);
      assertThrows(IndexOutOfBoundsException.class, () -> opened.readInto("w", dst, 3));
      assertThrows(IndexOutOfBoundsException.class, () -> opened.read("w", 5, dst, 0, 2));
      assertThrows(IndexOutOfBoundsException.class, () -> opened.read("w", -1, dst, 0, 1));
    }
  }

  /** All 65,536 half-precision numbers, against the definition in IEEE 754. */
  @Test
  void widensEveryFloat16Exactly() throws IOException {
    float[] read = readAllHalves("F16");
    for (int half = 0; half < 1 << 16; half++) {
      int exponent = half >> 10 & 31;
      int fraction = half & 1023;
      double sign = half >> 15 == 0 ? 1 : -1;
      if (exponent == 31 && fraction != 0) {
        assertTrue(Float.isNaN(read[half]));
      } else {
        double expected =
            exponent == 31
                ? sign / 0.0
                : exponent == 0
                    ? sign * fraction * Math.pow(2, -24)
                    : sign * (1024 + fraction) * Math.pow(2, exponent - 25);
        assertEquals(Double.doubleToLongBits(expected), Double.doubleToLongBits(read[half]));
      }
    }
  }

  @Test
  void widensEveryBfloat16Exactly() throws IOException {
    float[] read = readAllHalves("BF16");
    for (int half = 0; half < 1 << 16; half++) {
      int exponent = half >> 7 & 255;
      int fraction = half & 127;
      double sign = half >> 15 == 0 ? 1 : -1;
      if (exponent == 255 && fraction != 0) {
        assertTrue(Float.isNaN(read[half]));
      } else {
        double expected =
            exponent == 255
                ? sign / 0.0
                : exponent == 0
                    ? sign * fraction * Math.pow(2, -133)
                    : sign * (128 + fraction) * Math.pow(2, exponent - 134);
        assertEquals(Double.doubleToLongBits(expected), Double.doubleToLongBits(read[half]));
      }
    }
  }

  private float[] readAllHalves(String dtype) throws IOException {
    ByteBuffer data = ByteBuffer.allocate(2 << 16).order(ByteOrder.LITTLE_ENDIAN);
    for (int half = 0; half < 1 << 16; half++) {
      data.putShort((short) half);
    }
    // A header of odd length makes the values unaligned in the file.
    String header = RawFiles.tensor(dtype, "[256,256]", "[0,131072]");
    header += header.length() % 2 == 0 ? " " : "";
    Path file = RawFiles.write(dir.resolve("halves"), header, data.array());
    try (Safetensors opened = Safetensors.open(file)) {
      return opened.readFloats("a");
    }
  }

  @Test
  void namesTheNearestTensorAndTheTypesThatAreRead() throws IOException {
    String header = RawFiles.tensor("I64", "[1]", "[0,8]").replace("\"a\"", "\"norm.weight\"");
    try (Safetensors opened =
        Safetensors.open(RawFiles.write(dir.resolve("x"), header, new byte[8]))) {
      String missing =
          assertThrows(CheckpointException.class, () -> opened.readFloats("norm.weigth"))
              .getMessage();
      assertTrue(missing.contains("nearest: 'norm.weight'"), missing);
      CheckpointException unread =
          assertThrows(CheckpointException.class, () -> opened.readFloats("norm.weight"));
      assertTrue(unread.what().contains("I64"), unread.what());
      assertEquals("norm.weight", unread.tensor());
    }
  }

  @Test
  void acceptsEverythingThatTheFormatAllows() throws IOException {
    String header =
        """
        {"b":{"shape":[],"x":[{"y":1}],"data_offsets":[4,8],"dtype":"F32"},
         "__metadata__":{"k":"v"},
         "e":{"dtype":"U8","shape":[0],"data_offsets":[4,4]},
         "a":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}   \
        """;
    byte[] data = {9, 9, 9, 9, 0, 0, (byte) 0x80, 0x3f};
    try (Safetensors opened = Safetensors.open(RawFiles.write(dir.resolve("x"), header, data))) {
      assertArrayEquals(new float[] {1}, opened.readFloats("b"));
    }
    try (Safetensors opened = Safetensors.open(RawFiles.write(dir.resolve("y"), "{}"))) {
      assertTrue(opened.names().isEmpty());
    }
  }

  @Test
  void aClosedFileCannotBeRead() {
    Path file = dir.resolve("x");
    Safetensors.write(file, Map.of("w", TensorSource.of(new int[] {1}, new float[1])), Map.of());
    Safetensors opened = Safetensors.open(file);
    opened.close();
    assertThrows(IllegalStateException.class, () -> opened.readFloats("w"));
  }

  @Test
  void overwritesNothingAndLeavesNoPartBehind() throws IOException {
    Path file = Files.writeString(dir.resolve("x"), "mine");
    Map<String, TensorSource> one = Map.of("w", TensorSource.of(new int[] {1}, new float[1]));
    CheckpointException e =
        assertThrows(CheckpointException.class, () -> Safetensors.write(file, one, Map.of()));
    assertTrue(e.getMessage().contains("exists already"), e.getMessage());
    assertEquals("mine", Files.readString(file));

    TensorSource failing =
        new TensorSource() {
          @Override
          public int[] shape() {
            return new int[] {4};
          }

          @Override
          public void read(long first, float[] chunk, int count) {
            throw new IllegalStateException("device lost");
          }
        };
    Path partial = dir.resolve("partial");
    assertThrows(
        IllegalStateException.class,
        () -> Safetensors.write(partial, Map.of("w", failing), Map.of()));
    assertFalse(Files.exists(partial));
  }

  @Test
  void aSourceMustMatchItsShape() {
    assertThrows(
        IllegalArgumentException.class, () -> TensorSource.of(new int[] {2, 2}, new float[3]));
    assertThrows(
        IllegalArgumentException.class, () -> TensorSource.of(new int[] {-1}, new float[0]));
  }
}
