package io.millrace.connectors.exchange;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.github.luben.zstd.Zstd;
import io.millrace.connectors.exchange.file.Bounds;
import io.millrace.connectors.exchange.format.Settings;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Parquet files, which these tests write byte by byte after the format's specification. */
class ParquetTest {
  private static final int BYTE_ARRAY = 6;
  private static final int REQUIRED = 0;
  private static final int OPTIONAL = 1;
  private static final int REPEATED = 2;
  private static final int UTF8 = 0;
  private static final int LIST = 3;
  private static final int RLE = 3;
  private static final int UNCOMPRESSED = 0;
  private static final int SNAPPY = 1;
  private static final int GZIP = 2;
  private static final int ZSTD = 6;

  @TempDir Path directory;

  /**
   * A column of texts.
   *
   * @param repetition levels; null for a column that is not repeated
   * @param definition levels; null for a required column
   */
  private record Column(
      List<String> path, int[] repetition, int[] definition, List<String> values) {
    static Column required(String name, String... values) {
      return new Column(List.of(name), null, null, List.of(values));
    }

    int size() {
      return definition == null ? values.size() : definition.length;
    }

    byte[] page() {
      ByteArrayOutputStream page = new ByteArrayOutputStream();
      levels(page, repetition);
      levels(page, definition);
      for (String value : values) {
        byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
        page.writeBytes(littleEndian(bytes.length));
        page.writeBytes(bytes);
      }
      return page.toByteArray();
    }

    /** Each level is a run of one. */
    private static void levels(ByteArrayOutputStream page, int[] levels) {
      if (levels != null) {
        page.writeBytes(littleEndian(2 * levels.length));
        Arrays.stream(levels)
            .forEach(
                level -> {
                  page.write(1 << 1);
                  page.write(level);
                });
      }
    }
  }

  private static byte[] littleEndian(int value) {
    return ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(value).array();
  }

  private static byte[] compress(int codec, byte[] page) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    switch (codec) {
      case ZSTD -> out.writeBytes(Zstd.compress(page));
      case GZIP -> {
        try (GZIPOutputStream gzip = new GZIPOutputStream(out)) {
          gzip.write(page);
        }
      }
      case SNAPPY -> {
        // The length, below 128, and one literal with a length of two bytes.
        out.write(page.length);
        out.write(61 << 2);
        out.write(page.length - 1);
        out.write(0);
        out.writeBytes(page);
      }
      default -> out.writeBytes(page);
    }
    return out.toByteArray();
  }

  private static ThriftBytes leaf(String name, int repetition) {
    return new ThriftBytes().i32(1, BYTE_ARRAY).i32(3, repetition).text(4, name).i32(6, UTF8);
  }

  private static ThriftBytes group(String name, int repetition, int children) {
    return new ThriftBytes().i32(3, repetition).text(4, name).i32(5, children);
  }

  private Path write(
      int codec, long claimed, int rows, List<ThriftBytes> schema, List<Column> columns)
      throws IOException {
    ByteArrayOutputStream file = new ByteArrayOutputStream();
    file.writeBytes("PAR1".getBytes(StandardCharsets.US_ASCII));
    List<ThriftBytes> chunks = new ArrayList<>();
    for (Column column : columns) {
      byte[] page = column.page();
      byte[] stored = compress(codec, page);
      byte[] header =
          new ThriftBytes()
              .i32(1, 0)
              .i32(2, page.length)
              .i32(3, stored.length)
              .struct(5, new ThriftBytes().i32(1, column.size()).i32(2, 0).i32(3, RLE).i32(4, RLE))
              .end();
      long offset = file.size();
      file.writeBytes(header);
      file.writeBytes(stored);
      chunks.add(
          new ThriftBytes()
              .i64(2, offset)
              .struct(
                  3,
                  new ThriftBytes()
                      .i32(1, BYTE_ARRAY)
                      .i32s(2, 0)
                      .texts(3, column.path())
                      .i32(4, codec)
                      .i64(5, column.size())
                      .i64(6, header.length + page.length + claimed)
                      .i64(7, header.length + stored.length)
                      .i64(9, offset)));
    }
    byte[] footer =
        new ThriftBytes()
            .i32(1, 1)
            .structs(2, schema)
            .i64(3, rows)
            .structs(
                4, List.of(new ThriftBytes().structs(1, chunks).i64(2, file.size()).i64(3, rows)))
            .end();
    file.writeBytes(footer);
    file.writeBytes(littleEndian(footer.length));
    file.writeBytes("PAR1".getBytes(StandardCharsets.US_ASCII));
    return Files.write(directory.resolve("data"), file.toByteArray());
  }

  @ParameterizedTest
  @ValueSource(ints = {UNCOMPRESSED, SNAPPY, GZIP, ZSTD})
  void preferencesInFlatColumns(int codec) throws IOException {
    Path file =
        write(
            codec,
            0,
            3,
            List.of(
                group("schema", REQUIRED, 3),
                leaf("prompt", REQUIRED),
                leaf("chosen", REQUIRED),
                leaf("rejected", REQUIRED)),
            List.of(
                Column.required("prompt", "Which river?", "p", "p"),
                Column.required("chosen", "The Elbe. ä", "a", "a"),
                Column.required("rejected", "None.", "a", "b")));
    CollectedRecords collected = CollectedRecords.of(file);
    assertEquals(2, collected.records.size(), collected.refusals.toString());
    Judgment judgment = (Judgment) collected.records.getFirst();
    assertEquals(List.of(new Turn(Role.USER, "Which river?")), judgment.getDialogue());
    assertEquals(
        List.of("None.", "The Elbe. ä"),
        List.of(judgment.getResponseA().getText(), judgment.getResponseB().getText()).stream()
            .sorted()
            .toList());
    assertEquals(List.of("same-responses"), collected.reasons());
    assertEquals("row", collected.refusals.getFirst().unit());
    assertEquals(2, collected.refusals.getFirst().number());
  }

  @Test
  void messagesInAListOfStructs() throws IOException {
    ThriftBytes messages =
        new ThriftBytes().i32(3, OPTIONAL).text(4, "messages").i32(5, 1).i32(6, LIST);
    List<String> path = List.of("messages", "list", "element");
    // Two rows of two messages, and one whose second message has no content.
    int[] repetition = {0, 1, 0, 1, 0, 1};
    CollectedRecords collected =
        CollectedRecords.of(
            write(
                ZSTD,
                0,
                3,
                List.of(
                    group("schema", REQUIRED, 1),
                    messages,
                    group("list", REPEATED, 1),
                    group("element", OPTIONAL, 2),
                    leaf("role", OPTIONAL),
                    leaf("content", OPTIONAL)),
                List.of(
                    new Column(
                        append(path, "role"),
                        repetition,
                        new int[] {4, 4, 4, 4, 4, 4},
                        List.of("user", "assistant", "user", "assistant", "user", "assistant")),
                    new Column(
                        append(path, "content"),
                        repetition,
                        new int[] {4, 4, 4, 4, 4, 3},
                        List.of("Which river?", "The Elbe.", "Hi", "Hello.", "Hi")))));
    assertEquals(2, collected.records.size(), collected.refusals.toString());
    assertEquals(
        List.of(new Turn(Role.USER, "Which river?"), new Turn(Role.ASSISTANT, "The Elbe.")),
        ((Demonstration) collected.records.getFirst()).getDialogue());
    assertEquals(3, collected.refusals.getFirst().number());
  }

  private static List<String> append(List<String> path, String name) {
    List<String> all = new ArrayList<>(path);
    all.add(name);
    return all;
  }

  @Test
  void aFileThatClaimsToBeHugeIsRefusedBeforeItIsRead() throws IOException {
    Path file =
        write(
            UNCOMPRESSED,
            1L << 40,
            1,
            List.of(group("schema", REQUIRED, 1), leaf("prompt", REQUIRED)),
            List.of(Column.required("prompt", "p")));
    String message = assertThrows(IOException.class, () -> CollectedRecords.of(file)).getMessage();
    assertTrue(message.contains("bytes of content in"), message);
  }

  @Test
  void aTruncatedFileIsRefused() throws IOException {
    Path file =
        write(
            UNCOMPRESSED,
            0,
            1,
            List.of(group("schema", REQUIRED, 1), leaf("prompt", REQUIRED)),
            List.of(Column.required("prompt", "p")));
    byte[] whole = Files.readAllBytes(file);
    for (int length = 4; length < whole.length; length += 3) {
      Path torn = Files.write(directory.resolve("torn"), Arrays.copyOf(whole, length));
      assertThrows(IOException.class, () -> CollectedRecords.of(torn));
    }
  }

  @Test
  void aFileWithFewerRowsThanItClaimsIsAnError() throws IOException {
    Path file =
        write(
            UNCOMPRESSED,
            0,
            5,
            List.of(group("schema", REQUIRED, 1), leaf("prompt", REQUIRED)),
            List.of(Column.required("prompt", "p", "q", "r")));
    String message = assertThrows(IOException.class, () -> CollectedRecords.of(file)).getMessage();
    assertTrue(message.contains("it ends after 3 of 5 rows"), message);
  }

  /** A damaged length or level can make the library wait for ever. */
  @Test
  void aDamagedPageEndsTheFileSoon() throws IOException {
    Path file =
        write(
            UNCOMPRESSED,
            0,
            1,
            List.of(group("schema", REQUIRED, 1), leaf("prompt", REQUIRED)),
            List.of(Column.required("prompt", "the text")));
    byte[] whole = Files.readAllBytes(file);
    int text = new String(whole, StandardCharsets.ISO_8859_1).indexOf("the text");
    whole[text - 1] = 0x7F; // The length of the text is now about 2 GB.
    Path damaged = Files.write(directory.resolve("damaged"), whole);
    Bounds bounds = new Bounds(1 << 30, 300, 1 << 20, 1 << 20, Duration.ofSeconds(3));
    IOException e =
        assertThrows(
            IOException.class,
            () ->
                CollectedRecords.of(damaged, "prompts", Settings.at(CollectedRecords.NOW), bounds));
    assertTrue(e.getMessage().contains("damaged cannot be read as Parquet: "), e.getMessage());
    // Other files can be read nevertheless.
    assertEquals(1, CollectedRecords.of(file).records.size());
  }
}
