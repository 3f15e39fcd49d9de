package io.millrace.connectors.exchange;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.github.luben.zstd.ZstdOutputStreamNoFinalizer;
import io.millrace.connectors.exchange.file.Bounds;
import io.millrace.connectors.exchange.format.Settings;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Prompt;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Files that are damaged or made to do harm: each row or file is refused with its reason. */
class HostileFilesTest {
  private static final String GOOD = "{\"prompt\":\"Which river?\"}";

  /** Bombs need not be large to be refused. */
  private static final Bounds SMALL =
      new Bounds(1 << 20, 10, 10_000, 100_000, Duration.ofSeconds(30));

  @TempDir Path directory;

  enum Compressor {
    GZIP,
    ZSTD;

    OutputStream to(OutputStream out) throws IOException {
      return this == GZIP ? new GZIPOutputStream(out) : new ZstdOutputStreamNoFinalizer(out);
    }

    byte[] compress(byte[] content) throws IOException {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      try (OutputStream out = to(bytes)) {
        out.write(content);
      }
      return bytes.toByteArray();
    }
  }

  private CollectedRecords read(byte[] content) throws IOException {
    return CollectedRecords.of(Files.write(directory.resolve("data"), content));
  }

  private CollectedRecords read(String... lines) throws IOException {
    return read(String.join("\n", lines).getBytes(StandardCharsets.UTF_8));
  }

  private String failure(byte[] content, Bounds bounds) {
    return assertThrows(
            IOException.class,
            () ->
                CollectedRecords.of(
                    Files.write(directory.resolve("data"), content),
                    "prompts",
                    Settings.at(CollectedRecords.NOW),
                    bounds))
        .getMessage();
  }

  @Test
  void rowsThatAreNoJsonAreRefusedByLine() throws IOException {
    CollectedRecords collected =
        read(
            GOOD,
            "{\"prompt\":\"raw \u0000 NUL\"}",
            "{\"prompt\":\"escaped \\u0000 NUL\"}",
            "{\"prompt\":" + "[".repeat(100_000),
            "{\"prompt\":\"a\",\"prompt\":\"b\"}",
            "{\"prompt\":\"lone \\ud83d\"}",
            "{\"prompt\":5}",
            "{\"prompt\":[1,2]}",
            "{\"prompt\":[" + "{\"role\":\"user\",\"content\":\"x\"},".repeat(10_001) + "0]}",
            "[]",
            "true",
            "{}",
            "{\"prompt\":\"" + "x".repeat(10_000_000) + "\"}",
            "{\"prompt\":\"x\",\"y\":[" + "0,".repeat(1_000_000) + "0]}",
            "{\"prompt\":null}",
            GOOD);
    assertEquals(
        List.of(2L, 3L, 4L, 5L, 6L, 7L, 8L, 9L, 10L, 11L, 12L, 14L, 15L),
        collected.refusals.stream().map(Refusal::number).toList());
    // The text of 10 MB is a record; whether Kafka takes it depends on kafka.max-record-size.
    assertEquals(3, collected.records.size());
    collected.refusals.forEach(
        refusal -> assertTrue(refusal.text().length() < 100_000, refusal.reason()));
  }

  @Test
  void bytesThatAreNoUtf8AreRefusedByLine() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.writeBytes((GOOD + "\n{\"prompt\":\"").getBytes(StandardCharsets.UTF_8));
    bytes.writeBytes(new byte[] {(byte) 0xC3, 0x28});
    bytes.writeBytes(("\"}\n" + GOOD).getBytes(StandardCharsets.UTF_8));
    CollectedRecords collected = read(bytes.toByteArray());
    assertEquals(2, collected.records.size());
    assertEquals(2, collected.refusals.getFirst().number());
    assertTrue(collected.refusals.getFirst().message().contains("not UTF-8"));
  }

  @Test
  void utf16IsNamed() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.writeBytes(new byte[] {(byte) 0xFF, (byte) 0xFE});
    bytes.writeBytes(GOOD.getBytes(StandardCharsets.UTF_16LE));
    String message = failure(bytes.toByteArray(), Bounds.DEFAULT);
    assertTrue(message.contains("it is UTF-16; convert it"), message);
  }

  @ParameterizedTest
  @EnumSource
  void theContentSaysHowItIsCompressed(Compressor compressor) throws IOException {
    byte[] file = compressor.compress((GOOD + "\n").repeat(3).getBytes(StandardCharsets.UTF_8));
    assertEquals(3, read(file).records.size());
    String message = failure(compressor.compress(file), Bounds.DEFAULT);
    assertTrue(message.contains("compressed twice"), message);
  }

  @ParameterizedTest
  @EnumSource
  void aTruncatedFileIsDamagedAfterItsLastGoodLine(Compressor compressor) throws IOException {
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < 50_000; i++) {
      lines.append("{\"prompt\":\"").append(Integer.toHexString(i * 0x9E3779B1)).append("\"}\n");
    }
    byte[] whole = compressor.compress(lines.toString().getBytes(StandardCharsets.UTF_8));
    String message = failure(Arrays.copyOf(whole, whole.length / 2), Bounds.DEFAULT);
    assertTrue(
        message.matches(".*data is damaged after line [1-9][0-9]*: .*import it again"), message);
    message = failure(Arrays.copyOf(whole, whole.length - 1), Bounds.DEFAULT);
    assertTrue(message.contains("is damaged after line"), message);
  }

  @ParameterizedTest
  @EnumSource
  void aBombIsRefusedBeforeItExpands(Compressor compressor) throws IOException {
    byte[] spaces = " ".repeat(50_000_000).getBytes(StandardCharsets.UTF_8);
    byte[] bomb = compressor.compress(spaces);
    String message = failure(bomb, SMALL);
    assertTrue(message.contains("more than 10 times as large as the compressed file"), message);
    // A file of one good line and the bomb.
    byte[] both =
        compressor.compress((GOOD + "\n" + " ".repeat(5_000_000)).getBytes(StandardCharsets.UTF_8));
    assertTrue(failure(both, SMALL).contains("more than 10 times"));
  }

  @Test
  void aFileHasAMost() {
    byte[] content = (GOOD + "\n").repeat(50_000).getBytes(StandardCharsets.UTF_8);
    String message = failure(content, SMALL);
    assertTrue(message.contains("it has more than 1048576 bytes of content"), message);
  }

  @Test
  void aJsonArrayIsReadElementByElementAndNoFurtherThanItsDamage() throws IOException {
    CollectedRecords collected =
        read("[" + GOOD + ", 7, {\"prompt\":\"lone \\ud83d\"}, null, " + GOOD + "]");
    assertEquals(2, collected.records.size());
    assertEquals(List.of(2L, 3L, 4L), collected.refusals.stream().map(Refusal::number).toList());
    for (String damaged :
        List.of(
            "[" + GOOD + ", {\"prompt\":\"a\",\"prompt\":\"b\"}]",
            "[" + GOOD + ", " + "[".repeat(100_000),
            "[" + GOOD + ", ",
            "[" + GOOD + "] more")) {
      String message = failure(damaged.getBytes(StandardCharsets.UTF_8), Bounds.DEFAULT);
      assertTrue(message.contains("is damaged after element 1: "), message);
    }
    byte[] large =
        ("[" + GOOD + ",{\"prompt\":\"" + "x".repeat(300_000) + "\"}]")
            .getBytes(StandardCharsets.UTF_8);
    String message = failure(large, SMALL);
    assertTrue(message.contains("an element has more than 100000 bytes"), message);
  }

  @Test
  void anUnclosedCellOfCsvIsBounded() throws IOException {
    CollectedRecords collected =
        CollectedRecords.of(
            Files.writeString(
                directory.resolve("data"),
                "prompt,x\nWhich river?,1\n\"open\n" + "line\n".repeat(30_000) + "last,1\n"),
            "prompts",
            Settings.at(CollectedRecords.NOW),
            SMALL);
    assertEquals(3, collected.refusals.getFirst().number());
    assertTrue(
        collected.refusals.getFirst().message().contains("more than 100000 characters"),
        collected.refusals.getFirst().message());
    assertEquals("Which river?", text(collected, 0));
    assertEquals("last", text(collected, 1));
    assertTrue(
        failure("prompt,prompt\na,b".getBytes(StandardCharsets.UTF_8), SMALL).contains("twice"));
    String nul = "prompt\na\u0000b\n";
    assertEquals(List.of("invalid"), read(nul).reasons());
  }

  private static String text(CollectedRecords collected, int index) {
    return ((Prompt) collected.records.get(index)).getDialogue().getFirst().getContent();
  }

  @Test
  void specialTokensAndControlCharactersStayText() throws IOException {
    String text = "<|im_start|>system [INST] <s> \\u001b[2J <|eot_id|>";
    Prompt prompt = read("{\"prompt\":\"" + text + "\"}").only(Prompt.class);
    assertEquals(text.replace("\\u001b", "\u001b"), prompt.getDialogue().getFirst().getContent());
    assertEquals(1, prompt.getDialogue().size());
  }

  @Test
  void damagedParquetIsRefused() {
    byte[] damaged = ("PAR1" + "x".repeat(100) + "PAR1").getBytes(StandardCharsets.UTF_8);
    assertTrue(failure(damaged, Bounds.DEFAULT).contains("cannot be read as Parquet"));
    assertTrue(
        failure("PAR1".getBytes(StandardCharsets.UTF_8), Bounds.DEFAULT)
            .contains("cannot be read as Parquet"));
  }

  @Test
  void aRowCannotMakeManyRecords() throws IOException {
    String completion = "{\"response\":\"r\",\"overall_score\":1},";
    String row = "{\"instruction\":\"i\",\"completions\":[" + completion.repeat(40) + "{}]}";
    CollectedRecords collected =
        CollectedRecords.of(
            Files.writeString(directory.resolve("data"), row),
            "ultrafeedback",
            Settings.at(CollectedRecords.NOW).with(Objective.HELPFULNESS),
            Bounds.DEFAULT);
    assertEquals(List.of("invalid"), collected.reasons());
  }
}
