package io.millrace.jobs.erasure;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.schemas.Prompt;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TextSearchTest {

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static boolean isIn(TextSearch search, byte[] content) throws IOException {
    return search.isIn(new ByteArrayInputStream(content));
  }

  private static Prompt prompt(String text) {
    return Prompt.newBuilder()
        .setPromptId("p")
        .setDialogue(List.of(new Turn(Role.USER, text)))
        .build();
  }

  /** At every place around the end of the buffer of 256 KiB, and at both ends of the stream. */
  @Test
  void findsAPatternWhereverItStands() throws IOException {
    byte[] pattern = bytes("a text of some length");
    TextSearch search = new TextSearch(List.of(pattern, bytes("another pattern")));
    byte[] noise = new byte[(1 << 18) + 200];
    new Random(1).nextBytes(noise);
    assertFalse(isIn(search, noise));
    for (int at : new int[] {0, 1, 1000, (1 << 18) - 3, noise.length - pattern.length}) {
      assertFound(search, noise, pattern, at);
    }
    for (int at = (1 << 18) - 30; at < (1 << 18) + 30; at++) {
      assertFound(search, noise, pattern, at);
    }
  }

  private static void assertFound(TextSearch search, byte[] noise, byte[] pattern, int at)
      throws IOException {
    byte[] content = noise.clone();
    System.arraycopy(pattern, 0, content, at, pattern.length);
    assertTrue(isIn(search, content), "at " + at);
    content[at + pattern.length - 1]++;
    assertFalse(isIn(search, content), "all but the last byte at " + at);
  }

  @Test
  void shortStreamsAndNoPatternsHaveNothing() throws IOException {
    TextSearch search = new TextSearch(List.of(bytes("12345678")));
    for (int length = 0; length < 8; length++) {
      assertFalse(isIn(search, new byte[length]));
    }
    assertTrue(isIn(search, bytes("12345678")));
    assertFalse(isIn(new TextSearch(List.of()), bytes("12345678")));
  }

  @Test
  void searchesCompressedFilesUncompressed() throws IOException {
    ByteArrayOutputStream compressed = new ByteArrayOutputStream();
    try (GZIPOutputStream out = new GZIPOutputStream(compressed)) {
      out.write(bytes("before a secret text after"));
    }
    TextSearch search = new TextSearch(List.of(bytes("a secret text")));
    assertTrue(isIn(search, compressed.toByteArray()));
  }

  @Test
  void textsAreFoundAsJsonWritesThem() throws IOException {
    ErasedTexts texts = new ErasedTexts();
    texts.add(prompt("Grüße an \"alle\"\nhier"));
    TextSearch search = texts.search();
    assertTrue(isIn(search, bytes("Grüße an \"alle\"\nhier")));
    assertTrue(isIn(search, bytes("{\"text\":\"Grüße an \\\"alle\\\"\\nhier\"}")));
    assertTrue(isIn(search, bytes("{\"text\":\"Gr\\u00fc\\u00dfe an \\\"alle\\\"\\nhier\"}")));
    assertFalse(isIn(search, bytes("Grüße an alle hier")));
  }

  @Test
  void textsOfOthersAndShortOnesAreNotSearchedFor() {
    ErasedTexts texts = new ErasedTexts();
    texts.add(prompt("a prompt that two people have"));
    texts.add(prompt("a prompt of one person"));
    texts.add(prompt("short"));
    texts.keep(prompt("a prompt that two people have"));
    assertEquals(1, texts.count());
    assertEquals(
        List.of(
            "1 texts are in records of others, too, and were not searched for",
            "1 texts of less than 12 bytes were not searched for"),
        texts.limits());
    assertTrue(texts.problem().isEmpty());
  }

  @Test
  void theReportNamesTheFileAndHowToGetRidOfIt(@TempDir Path directory) throws Exception {
    byte[] text = bytes("a secret text of a person");
    Path state = directory.resolve("flink/000001/chk-7/part");
    Path bag = directory.resolve("checkpoints/bags/policy-v000001.jsonl");
    Path weights = directory.resolve("checkpoints/policy/v000001/model.safetensors");
    for (Path file : List.of(state, bag, weights)) {
      Path _ = Files.createDirectories(file.getParent());
      Path _ = Files.write(file, text);
    }
    Path _ = Files.write(directory.resolve("checkpoints/clean.json"), bytes("{}"));
    DirectorySearch search = new DirectorySearch(new TextSearch(List.of(text)));
    List<String> locations =
        List.of(
            directory.resolve("checkpoints").toString(),
            directory.resolve("checkpoints/bags").toString(),
            directory.resolve("flink").toString(),
            directory.resolve("missing").toString(),
            "s3://bucket/checkpoints");
    search.search(locations);
    assertEquals(Set.of(state, bag), search.found().keySet());
    assertTrue(search.found().get(state).startsWith("a Flink checkpoint"));
    assertTrue(search.found().get(bag).startsWith("a bag of rejection sampling"));
    assertEquals(3, search.files(), "each once, and no weights");
    assertEquals(1, search.problems().size());
    assertTrue(search.problems().getFirst().startsWith("s3://bucket/checkpoints"));

    // The next Flink checkpoint does not have the text.
    Path next = directory.resolve("flink/000001/chk-8/part");
    Path _ = Files.createDirectories(next.getParent());
    Path _ = Files.write(next, bytes("other state"));
    Files.delete(state);
    search.awaitFlinkCheckpoints(locations, System.nanoTime() + 60_000_000_000L);
    assertEquals(Set.of(bag), search.found().keySet());
  }
}
