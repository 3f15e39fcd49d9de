package io.millrace.connectors.importer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.json.JsonMapper;
import io.millrace.connectors.TestBroker;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Rating;
import io.millrace.schemas.Role;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HhRlhfImporterTest {
  private static final Instant NOW = Instant.parse("2026-01-01T00:00:00Z");
  private static final JsonMapper MAPPER = new JsonMapper();

  private final HhRlhfImporter importer =
      new HhRlhfImporter(
          Objective.SAFETY, Rating.SLIGHTLY_BETTER, Clock.fixed(NOW, ZoneOffset.UTC));
  private final List<Judgment> judgments = new ArrayList<>();

  @TempDir Path directory;

  @Test
  void makesAJudgmentOfALine() throws IOException {
    run(
        line(
            "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: How?\n\nAssistant: Like this.",
            "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: How?\n\nAssistant: No idea."));
    Judgment judgment = judgments.getFirst();
    assertEquals(
        List.of(
            new Turn(Role.USER, "Hi"),
            new Turn(Role.ASSISTANT, "Hello."),
            new Turn(Role.USER, "How?")),
        judgment.getDialogue());
    assertEquals(List.of("Like this.", "No idea."), betterThenWorse(judgment));
    assertEquals(Objective.SAFETY, judgment.getObjective());
    assertEquals(Rating.SLIGHTLY_BETTER, judgment.getRating());
    assertEquals("hh-rlhf", judgment.getSource());
    assertEquals(NOW, judgment.getTime());
  }

  @Test
  void handlesTheQuirksOfTheRealData() throws IOException {
    HhRlhfImporter.Report report =
        run(
            // Two assistant turns in a row.
            line(
                "\n\nHuman: a\n\nAssistant: b\n\nAssistant: c\n\nHuman: d\n\nAssistant: x",
                "\n\nHuman: a\n\nAssistant: b\n\nAssistant: c\n\nHuman: d\n\nAssistant: y"),
            // The annotator preferred silence, from which no model can learn.
            line("\n\nHuman: a\n\nAssistant:", "\n\nHuman: a\n\nAssistant: y"),
            // These words only look like a speaker.
            line(
                "\n\nHuman: He said\nHuman: hi and Assistant: ho\n\nAssistant: x",
                "\n\nHuman: He said\nHuman: hi and Assistant: ho\n\nAssistant: y"),
            // An empty turn within the dialogue.
            line(
                "\n\nHuman: a\n\nAssistant: \n\nHuman: b\n\nAssistant: x",
                "\n\nHuman: a\n\nAssistant: \n\nHuman: b\n\nAssistant: y"));
    assertEquals(1, report.firstSkips().size(), report.firstSkips().toString());
    assertTrue(
        report
            .firstSkips()
            .getFirst()
            .toString()
            .matches("line 2: invalid: response[AB].text is empty;.*"),
        report.firstSkips().toString());
    assertEquals(3, judgments.size());
    assertEquals(new Turn(Role.ASSISTANT, "b\n\nc"), judgments.get(0).getDialogue().get(1));
    assertEquals(
        List.of(new Turn(Role.USER, "He said\nHuman: hi and Assistant: ho")),
        judgments.get(1).getDialogue());
    assertEquals(List.of(new Turn(Role.USER, "a\n\nb")), judgments.get(2).getDialogue());
  }

  @Test
  void reportsUnusableLinesAndContinues() throws IOException {
    HhRlhfImporter.Report report =
        run(
            "{broken",
            line("\n\nHuman: a\n\nAssistant: b", "\n\nHuman: c\n\nAssistant: d"),
            line("\n\nHuman: a\n\nAssistant: b", "\n\nHuman: a\n\nAssistant: b"),
            line("\n\nHuman: a", "\n\nHuman: a\n\nAssistant: b"),
            "",
            line("once upon a time", "\n\nHuman: a\n\nAssistant: b"),
            "{\"chosen\": 5, \"rejected\": \"\"}",
            line("\n\nAssistant: b", "\n\nAssistant: c"),
            line("\n\nHuman: a\n\nAssistant: b", "\n\nHuman: a\n\nAssistant: d"));
    assertEquals(8, report.lines());
    assertEquals(1, report.judgments());
    assertEquals(1, judgments.size());
    assertEquals(
        Map.of(
            "bad-json",
            1L,
            "diverging",
            1L,
            "same-responses",
            1L,
            "no-dialogue",
            3L,
            "invalid",
            1L),
        report.skipped());
    assertEquals(
        List.of(1L, 2L, 3L, 4L, 6L, 7L, 8L),
        report.firstSkips().stream().map(HhRlhfImporter.Skip::line).toList());
  }

  @Test
  void idsAreStableAndThePositionRevealsNothing() throws IOException {
    String[] lines = new String[1000];
    for (int i = 0; i < lines.length; i++) {
      // Equal content: only the line number distinguishes the judgments.
      lines[i] = line("\n\nHuman: a\n\nAssistant: b", "\n\nHuman: a\n\nAssistant: c");
    }
    run(lines);
    Set<String> ids = new HashSet<>();
    judgments.forEach(judgment -> ids.add(judgment.getJudgmentId()));
    assertEquals(1000, ids.size());
    long first = judgments.stream().filter(j -> j.getPreferred() == Preferred.A).count();
    assertTrue(first > 430 && first < 570, "A was preferred " + first + " times of 1,000");
    judgments.forEach(judgment -> assertEquals(List.of("b", "c"), betterThenWorse(judgment)));

    List<Judgment> before = List.copyOf(judgments);
    judgments.clear();
    run(lines);
    assertEquals(before, judgments);
  }

  @Test
  void anotherObjectiveMakesOtherJudgments() throws IOException {
    run(line("\n\nHuman: a\n\nAssistant: b", "\n\nHuman: a\n\nAssistant: c"));
    Judgment safety = judgments.getFirst();
    new HhRlhfImporter(Objective.HELPFULNESS, Rating.SLIGHTLY_BETTER, Clock.systemUTC())
        .run(directory.resolve("data.jsonl"), judgments::add);
    Judgment helpfulness = judgments.getLast();
    assertNotEquals(safety.getJudgmentId(), helpfulness.getJudgmentId());
    assertEquals(safety.getResponseA(), helpfulness.getResponseA());
  }

  @Test
  void skipsALineWhoseJudgmentIsTooLargeForKafka() throws IOException {
    KafkaSettings kafka = TestBroker.freshTopics();
    String answer = "\n\nHuman: a\n\nAssistant: ";
    Path file =
        Files.writeString(
            directory.resolve("data.jsonl"),
            line(answer + "b", answer + "c")
                + "\n"
                + line(answer + "b".repeat(kafka.maxRecordBytes()), answer + "c")
                + "\n"
                + line(answer + "d", answer + "e"));
    HhRlhfImporter.Report report;
    try (RecordWriter writer = new RecordWriter(kafka)) {
      report = importer.run(file, judgment -> writer.send(Topic.JUDGMENTS, judgment));
    }
    assertEquals(2, report.judgments());
    assertEquals(Map.of("too-large", 1L), report.skipped());
    assertEquals(2, report.firstSkips().getFirst().line());
    try (RecordReader<Judgment> reader = RecordReader.fromEarliest(kafka, Topic.JUDGMENTS)) {
      assertEquals(2, reader.readToEnd(entry -> {}));
    }
  }

  @Test
  void aByteOrderMarkIsFineAndOtherEncodingsAreSkippedByLine() throws IOException {
    String good = line("\n\nHuman: a\n\nAssistant: café", "\n\nHuman: a\n\nAssistant: c");
    String half = good.replace("café", "\\ud83d");
    String twice = good.substring(0, good.length() - 1) + ",\"chosen\":\"\"}";
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.writeBytes(("\uFEFF" + good + "\n").getBytes(StandardCharsets.UTF_8));
    bytes.writeBytes((good + "\n").getBytes(StandardCharsets.ISO_8859_1));
    bytes.writeBytes((half + "\n" + twice + "\n" + good).getBytes(StandardCharsets.UTF_8));
    HhRlhfImporter.Report report =
        importer.run(
            Files.write(directory.resolve("data.jsonl"), bytes.toByteArray()), judgments::add);
    assertEquals(2, report.judgments());
    assertEquals(Map.of("bad-json", 3L), report.skipped());
    assertEquals(
        List.of(2L, 3L, 4L), report.firstSkips().stream().map(HhRlhfImporter.Skip::line).toList());
    judgments.forEach(judgment -> assertEquals(List.of("café", "c"), betterThenWorse(judgment)));
  }

  @Test
  void readsGzipAndNamesTheDamageOfATornFile() throws IOException {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < 2000; i++) {
      text.append(line("\n\nHuman: a" + i, "")).append('\n');
    }
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(bytes)) {
      gzip.write(text.toString().getBytes(StandardCharsets.UTF_8));
    }
    Path whole = Files.write(directory.resolve("whole.gz"), bytes.toByteArray());
    assertEquals(2000, importer.run(whole, judgments::add).lines());
    byte[] half = Arrays.copyOf(bytes.toByteArray(), bytes.size() / 2);
    Path torn = Files.write(directory.resolve("torn.gz"), half);
    IOException e = assertThrows(IOException.class, () -> importer.run(torn, judgments::add));
    assertTrue(e.getMessage().startsWith(torn + " is damaged after line "), e.getMessage());
  }

  private HhRlhfImporter.Report run(String... lines) throws IOException {
    Path file = Files.writeString(directory.resolve("data.jsonl"), String.join("\n", lines));
    return importer.run(file, judgments::add);
  }

  private static String line(String chosen, String rejected) throws IOException {
    return MAPPER.writeValueAsString(Map.of("chosen", chosen, "rejected", rejected));
  }

  private static List<String> betterThenWorse(Judgment judgment) {
    String a = judgment.getResponseA().getText();
    String b = judgment.getResponseB().getText();
    return judgment.getPreferred() == Preferred.A ? List.of(a, b) : List.of(b, a);
  }
}
