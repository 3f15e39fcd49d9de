package io.millrace.model.checkpoint;

import static io.millrace.model.checkpoint.RawFiles.tensor;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Malformed and hostile safetensors files: each is refused with a {@link CheckpointException} that
 * names the file and the problem.
 */
class SafetensorsHostileTest {
  private static final String TWO =
      """
      {"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
       "b":{"dtype":"F32","shape":[1],"data_offsets":%s}}\
      """;

  @TempDir Path dir;

  static Stream<Arguments> headers() {
    String good = "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}";
    return Stream.of(
        hostile("negative shape", tensor("F32", "[-1]", "[0,4]"), 4, "negative number -1"),
        hostile(
            "shape product overflow",
            tensor("F32", "[4294967296,4294967296]", "[0,4]"),
            4,
            "overflows"),
        hostile(
            "byte count overflow", tensor("F64", "[4611686018427387904]", "[0,8]"), 8, "overflows"),
        hostile(
            "size above long",
            tensor("F32", "[99999999999999999999]", "[0,4]"),
            4,
            "above the size of any file"),
        hostile(
            "number of many digits",
            tensor("F32", "[" + "9".repeat(5000) + "]", "[0,4]"),
            4,
            "not well-formed"),
        hostile("fraction in shape", tensor("F32", "[1.5]", "[0,4]"), 4, "whole numbers"),
        hostile("exponent in shape", tensor("F32", "[1e0]", "[0,4]"), 4, "whole numbers"),
        hostile("NaN in shape", tensor("F32", "[NaN]", "[0,4]"), 4, "not well-formed"),
        hostile("shape is no list", tensor("F32", "4", "[0,4]"), 4, "must be a list"),
        hostile("nested shape", tensor("F32", "[[1]]", "[0,4]"), 4, "whole numbers"),
        hostile(
            "rank too high",
            tensor("F32", "[" + "1,".repeat(99) + "1]", "[0,4]"),
            4,
            "more than 64"),
        hostile("unknown dtype", tensor("F31", "[1]", "[0,4]"), 4, "dtype 'F31' is unknown"),
        hostile("lower-case dtype", tensor("f32", "[1]", "[0,4]"), 4, "dtype 'f32' is unknown"),
        hostile("offsets reversed", tensor("F32", "[1]", "[4,0]"), 4, "reversed"),
        hostile("negative offset", tensor("F32", "[1]", "[-4,0]"), 4, "negative number -4"),
        hostile("three offsets", tensor("F32", "[1]", "[0,4,8]"), 8, "must be [begin, end]"),
        hostile("offset beyond file", tensor("F32", "[2]", "[0,8]"), 4, "beyond the file"),
        hostile(
            "offset beyond memory",
            tensor("U8", "[9223372036854775807]", "[0,9223372036854775807]"),
            4,
            "beyond the file"),
        hostile("size and shape differ", tensor("F32", "[2]", "[0,4]"), 4, "takes 8 bytes"),
        hostile("size of half a byte", tensor("F4", "[1]", "[0,1]"), 1, "takes 1 bytes"),
        hostile("trailing bytes", tensor("F32", "[1]", "[0,4]"), 9, "5 trailing bytes"),
        hostile("data without tensor", "{}", 3, "3 trailing bytes"),
        hostile("hole at the start", tensor("F32", "[1]", "[4,8]"), 8, "hole"),
        hostile("hole between", TWO.formatted("[8,12]"), 12, "bytes 4 to 7"),
        hostile("overlap", TWO.formatted("[0,4]"), 4, "overlaps"),
        hostile("partial overlap", TWO.formatted("[2,6]"), 6, "overlaps"),
        hostile("duplicate tensor", "{\"a\":" + good + ",\"a\":" + good + "}", 4, "uplicate"),
        hostile(
            "duplicate key",
            "{\"a\":" + good.replace("}", ",\"dtype\":\"F32\"}") + "}",
            4,
            "uplicate"),
        hostile(
            "missing dtype",
            "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}",
            4,
            "dtype is missing"),
        hostile(
            "missing offsets",
            "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}",
            4,
            "data_offsets is missing"),
        hostile("tensor is no object", "{\"a\":[]}", 0, "must be an object"),
        hostile("metadata is no text", "{\"__metadata__\":{\"a\":1}}", 0, "must be a string"),
        hostile("header is a list", "[]", 0, "must start with '{'"),
        hostile("header begins with space", " {}", 0, "must start with '{'"),
        hostile("header ends early", "{\"a\":{\"dtype\":\"F32\"", 0, "not well-formed"),
        hostile("text after the header", "{} {}", 0, "has text after"),
        hostile("empty header", "", 0, "is empty"),
        hostile("NaN header", "{\"a\":NaN}", 0, "not well-formed"),
        hostile("comment", "{/* */}", 0, "not well-formed"),
        hostile("deep nesting", "{\"a\":{\"x\":" + "[".repeat(90_000), 0, "nesting depth"),
        hostile("deep objects", "{\"a\":".repeat(90_000), 0, "nesting depth"));
  }

  private static Arguments hostile(String kind, String header, int dataBytes, String inMessage) {
    return Arguments.of(kind, header, dataBytes, inMessage);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("headers")
  void refusesHeader(String kind, String header, int dataBytes, String inMessage)
      throws IOException {
    Path file = RawFiles.write(dir.resolve("hostile.safetensors"), header, new byte[dataBytes]);
    assertRefused(file, inMessage);
  }

  @Test
  void refusesHugeHeaderLength() throws IOException {
    byte[] json = "{}".getBytes(StandardCharsets.UTF_8);
    Path file = dir.resolve("huge");
    assertRefused(RawFiles.write(file, 100_000_001, json), "100000001 is above the format's limit");
    assertRefused(RawFiles.write(file, Long.MAX_VALUE, json), "above the format's limit");
    assertRefused(RawFiles.write(file, -1, json), "18446744073709551615 is above");
  }

  @Test
  void refusesHeaderBeyondFile() throws IOException {
    byte[] json = "{}".getBytes(StandardCharsets.UTF_8);
    assertRefused(RawFiles.write(dir.resolve("beyond"), 3, json), "beyond the end of the file");
  }

  @Test
  void refusesTinyFiles() throws IOException {
    for (int size = 0; size < 8; size++) {
      assertRefused(Files.write(dir.resolve("tiny"), new byte[size]), "too short");
    }
  }

  @Test
  void refusesHeaderThatIsNotUtf8() throws IOException {
    byte[] json = "{\"a?\":1}".getBytes(StandardCharsets.UTF_8);
    json[3] = (byte) 0xff;
    assertRefused(RawFiles.write(dir.resolve("bytes"), json.length, json), "not UTF-8");
    byte[] wide = "{\"a\":1}".getBytes(StandardCharsets.UTF_16LE);
    assertRefused(RawFiles.write(dir.resolve("wide"), wide.length, wide), "not well-formed");
  }

  /**
   * A file that is truncated anywhere is refused. A file with a changed byte in its header is
   * refused or read; no other exception is thrown.
   */
  @Test
  void refusesEveryTruncationAndSurvivesEveryFlip() throws IOException {
    byte[] good =
        Files.readAllBytes(
            RawFiles.write(dir.resolve("good"), TWO.formatted("[4,8]"), new byte[8]));
    Path file = dir.resolve("bad");
    for (int length = 0; length < good.length; length++) {
      Files.write(file, Arrays.copyOf(good, length));
      assertThrows(CheckpointException.class, () -> Safetensors.open(file));
    }
    int refused = 0;
    for (int i = 0; i < good.length - 8; i++) {
      byte[] flipped = good.clone();
      flipped[i] ^= 0x10;
      Files.write(file, flipped);
      try (Safetensors opened = Safetensors.open(file)) {
        assertEquals(8, opened.names().stream().mapToLong(n -> opened.info(n).byteCount()).sum());
      } catch (CheckpointException e) {
        refused++;
      }
    }
    assertTrue(refused > 60, "only " + refused + " refused");
  }

  @Test
  void shortensHostileNamesInMessages() throws IOException {
    String header = tensor("X", "[1]", "[0,4]").replace("\"a\"", "\"" + "n".repeat(40_000) + "\"");
    Path file = RawFiles.write(dir.resolve("name"), header);
    String message =
        assertThrows(CheckpointException.class, () -> Safetensors.open(file)).getMessage();
    assertTrue(message.length() < 1_000, "message of " + message.length() + " characters");
  }

  @Test
  void refusesMissingFileAndDirectory() {
    assertRefused(dir.resolve("none"), "no such file");
    assertRefused(dir, "cannot be read");
  }

  private static void assertRefused(Path file, String inMessage) {
    CheckpointException e =
        assertThrows(CheckpointException.class, () -> Safetensors.open(file).close());
    assertTrue(e.getMessage().contains(inMessage), e.getMessage());
    assertTrue(e.getMessage().startsWith(file.toString()), e.getMessage());
  }
}
