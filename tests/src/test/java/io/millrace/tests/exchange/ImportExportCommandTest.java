package io.millrace.tests.exchange;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.millrace.cli.Millrace;
import io.millrace.connectors.broker.EmbeddedBroker;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The commands {@code import} and {@code export}: what they print, and the files they write. */
class ImportExportCommandTest {
  private static final String PAIR =
      "{\"prompt\":\"Which river%s?\",\"chosen\":\"The Elbe.\",\"rejected\":\"None.\"}\n";

  @TempDir private static Path directory;
  private static EmbeddedBroker broker;

  private record Outcome(int code, String out, String error) {}

  @BeforeAll
  static void start() throws Exception {
    broker = EmbeddedBroker.start(directory.resolve("kafka"), 0);
  }

  @AfterAll
  static void stop() throws Exception {
    broker.close();
  }

  private static Outcome run(String prefix, String... arguments) {
    List<String> all = new ArrayList<>(List.of(arguments));
    all.addAll(List.of("--bootstrap-servers", broker.bootstrapServers(), "--topic-prefix", prefix));
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream error = new ByteArrayOutputStream();
    PrintStream stdout = System.out;
    PrintStream stderr = System.err;
    try (PrintStream capturedOut = new PrintStream(out, true, StandardCharsets.UTF_8);
        PrintStream capturedError = new PrintStream(error, true, StandardCharsets.UTF_8)) {
      System.setOut(capturedOut);
      System.setErr(capturedError);
      int code =
          Millrace.commandLine()
              .setErr(new PrintWriter(capturedError, true, StandardCharsets.UTF_8))
              .execute(all.toArray(String[]::new));
      return new Outcome(
          code, out.toString(StandardCharsets.UTF_8), error.toString(StandardCharsets.UTF_8));
    } finally {
      System.setOut(stdout);
      System.setErr(stderr);
    }
  }

  private static Path write(String name, String content) throws IOException {
    return Files.writeString(directory.resolve(name), content);
  }

  @Test
  void importsCountsExportsAndImportsAgain() throws Exception {
    StringBuilder lines = new StringBuilder();
    for (int i = 0; i < 5; i++) {
      lines.append(PAIR.formatted(i)).append("{\"prompt\":\"\u001b[2J").append(i).append("\n");
    }
    Path file = write("pairs", lines.toString());
    Path refused = directory.resolve("refused.jsonl");
    Outcome first =
        run(
            "a.",
            "import",
            file.toString(),
            "--objective",
            "safety",
            "--refused",
            refused.toString(),
            "--print-refused",
            "2",
            "--source",
            "maps");
    assertEquals(0, first.code(), first.error());
    assertTrue(first.error().contains(file + " has the format trl"), first.error());
    assertTrue(first.out().contains("10 rows; judgments 5; refused 5: bad-json 5"), first.out());
    assertEquals(
        2, first.error().lines().filter(line -> line.contains("bad-json")).count(), first.error());
    assertTrue(first.error().contains("further refused rows are counted"), first.error());
    assertFalse(first.error().contains("\u001b"), first.error());
    List<String> refusals = Files.readAllLines(refused);
    assertEquals(5, refusals.size());
    JsonNode last = new ObjectMapper().readTree(refusals.getLast());
    assertEquals(10, last.path("number").asInt());
    assertEquals("{\"prompt\":\"\u001b[2J4", last.path("row").asText());

    for (String format : List.of("jsonl", "trl")) {
      Path exported = directory.resolve("exported." + format);
      Outcome export =
          run(
              "a.",
              "export",
              "judgments",
              "--format",
              format,
              "--compress",
              "zstd",
              "--out",
              exported.toString());
      assertEquals(0, export.code(), export.error());
      assertTrue(export.error().contains("wrote 5 of 5 records of judgments"), export.error());
      Outcome again = run(format + ".", "import", exported.toString());
      assertEquals(0, again.code(), again.error());
      assertEquals(
          sorted(run("a.", "export", "judgments")),
          sorted(run(format + ".", "export", "judgments")));
      Outcome exists = run("a.", "export", "judgments", "--out", exported.toString());
      assertEquals(2, exists.code());
      assertTrue(exists.error().contains("exists already"), exists.error());
    }
    // The same rows again: the topic has ten records, and five ids.
    run("a.", "import", file.toString(), "--objective", "safety", "--source", "maps");
    Outcome export = run("a.", "export", "judgments");
    assertEquals(5, export.out().lines().count());
    assertTrue(export.error().contains("left out {duplicate=5}"), export.error());
  }

  private static List<String> sorted(Outcome outcome) {
    assertEquals(0, outcome.code(), outcome.error());
    return outcome.out().lines().sorted().toList();
  }

  @Test
  void aDryRunSendsNothing() throws Exception {
    Path file = write("dry", PAIR.formatted(1) + PAIR.formatted(2));
    Outcome dry = run("dry.", "import", "--dry-run", "--objective", "helpfulness", file.toString());
    assertEquals(0, dry.code(), dry.error());
    assertEquals(
        2, dry.out().lines().filter(line -> line.startsWith("judgments: {")).count(), dry.out());
    assertTrue(dry.out().contains("2 rows; judgments 2; refused 0"), dry.out());
    Outcome topics = run("dry.", "topics");
    assertEquals(2, topics.code(), topics.out());
  }

  @Test
  void mistakesAreOneLine() throws Exception {
    String file = write("mistakes", PAIR.formatted(1)).toString();
    refuses("give --objective helpfulness", "import", file);
    refuses("unknown format \"trk\"; did you mean", "import", "--format", "trk", file);
    refuses("which fits no format", "import", write("none", "{\"a\":1}\n").toString());
    refuses("no row of", "import", "sharegpt", file);
    refuses("rewards cannot be exported", "export", "rewards");
    refuses("--from is soon", "export", "judgments", "--from", "soon");
    refuses("--compress needs --out", "export", "judgments", "--compress", "gzip");
    refuses(
        "the first must be earlier",
        "export",
        "judgments",
        "--from",
        "2026-01-02",
        "--to",
        "2026-01-01");
  }

  private static void refuses(String problem, String... arguments) {
    Outcome outcome = run("m.", arguments);
    assertEquals(2, outcome.code(), outcome.error());
    assertTrue(outcome.error().lines().toList().getLast().contains(problem), outcome.error());
  }
}
