package io.millrace.connectors.exchange;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.json.JsonMapper;
import io.millrace.connectors.exchange.file.Bounds;
import io.millrace.connectors.exchange.format.Settings;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Rating;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HhRlhfTest {
  private static final JsonMapper MAPPER = new JsonMapper();
  private static final Settings SAFETY = Settings.at(CollectedRecords.NOW).with(Objective.SAFETY);

  @TempDir Path directory;

  @Test
  void makesAJudgmentOfALine() throws IOException {
    CollectedRecords collected =
        run(
            line(
                "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: How?\n\nAssistant: Like this.",
                "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: How?\n\nAssistant: No idea."));
    Judgment judgment = collected.only(Judgment.class);
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
    assertEquals(CollectedRecords.NOW, judgment.getTime());
  }

  @Test
  void handlesTheQuirksOfTheRealData() throws IOException {
    CollectedRecords collected =
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
    assertEquals(1, collected.refusals.size(), collected.refusals.toString());
    assertTrue(
        collected
            .refusals
            .getFirst()
            .toString()
            .matches(".*, line 2: invalid: Judgment: response[AB].text is empty;.*"),
        collected.refusals.toString());
    assertEquals(3, collected.records.size());
    assertEquals(new Turn(Role.ASSISTANT, "b\n\nc"), judgment(collected, 0).getDialogue().get(1));
    assertEquals(
        List.of(new Turn(Role.USER, "He said\nHuman: hi and Assistant: ho")),
        judgment(collected, 1).getDialogue());
    assertEquals(List.of(new Turn(Role.USER, "a\n\nb")), judgment(collected, 2).getDialogue());
  }

  @Test
  void refusesUnusableLinesAndContinues() throws IOException {
    CollectedRecords collected =
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
    assertEquals(8, collected.report.rows());
    assertEquals(Map.of("judgments", 1L), collected.report.records());
    assertEquals(
        Map.of(
            "bad-json",
            1L,
            "diverging",
            1L,
            "same-responses",
            1L,
            "no-dialogue",
            2L,
            "invalid",
            2L),
        collected.report.refused());
    assertEquals(
        List.of(1L, 2L, 3L, 4L, 6L, 7L, 8L),
        collected.refusals.stream().map(Refusal::number).toList());
    assertEquals("{broken", collected.refusals.getFirst().text());
  }

  @Test
  void idsAreMadeOfTheContentAndThePositionRevealsNothing() throws IOException {
    String[] lines = new String[1000];
    for (int i = 0; i < lines.length; i++) {
      lines[i] =
          line("\n\nHuman: a" + i + "\n\nAssistant: b", "\n\nHuman: a" + i + "\n\nAssistant: c");
    }
    CollectedRecords collected = run(lines);
    Set<String> ids = new HashSet<>();
    int first = 0;
    for (int i = 0; i < lines.length; i++) {
      Judgment judgment = judgment(collected, i);
      ids.add(judgment.getJudgmentId());
      first += judgment.getPreferred() == Preferred.A ? 1 : 0;
      assertEquals(List.of("b", "c"), betterThenWorse(judgment));
    }
    assertEquals(1000, ids.size());
    assertTrue(first > 430 && first < 570, "A was preferred " + first + " times of 1,000");
    assertEquals(collected.records, run(lines).records);
    // The same content gives the same record wherever it stands.
    assertEquals(
        List.of(collected.records.get(500), collected.records.get(500)),
        run(lines[500], lines[500]).records);
  }

  @Test
  void anotherObjectiveMakesOtherJudgments() throws IOException {
    String line = line("\n\nHuman: a\n\nAssistant: b", "\n\nHuman: a\n\nAssistant: c");
    Judgment safety = run(line).only(Judgment.class);
    Judgment helpfulness =
        CollectedRecords.of(directory.resolve("data.jsonl")).only(Judgment.class);
    assertNotEquals(safety.getJudgmentId(), helpfulness.getJudgmentId());
    assertEquals(safety.getResponseA(), helpfulness.getResponseA());
  }

  @Test
  void aByteOrderMarkIsFineAndOtherEncodingsAreRefusedByLine() throws IOException {
    String good = line("\n\nHuman: a\n\nAssistant: café", "\n\nHuman: a\n\nAssistant: c");
    String half = good.replace("café", "\\ud83d");
    String twice = good.substring(0, good.length() - 1) + ",\"chosen\":\"\"}";
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    bytes.writeBytes(("\uFEFF" + good + "\n").getBytes(StandardCharsets.UTF_8));
    bytes.writeBytes((good + "\n").getBytes(StandardCharsets.ISO_8859_1));
    bytes.writeBytes((half + "\n" + twice + "\n" + good).getBytes(StandardCharsets.UTF_8));
    CollectedRecords collected =
        run(Files.write(directory.resolve("data.jsonl"), bytes.toByteArray()));
    assertEquals(2, collected.records.size());
    assertEquals(Map.of("bad-json", 3L), collected.report.refused());
    assertEquals(List.of(2L, 3L, 4L), collected.refusals.stream().map(Refusal::number).toList());
    assertEquals(List.of("café", "c"), betterThenWorse(judgment(collected, 1)));
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
    assertEquals(2000, run(whole).report.rows());
    byte[] half = Arrays.copyOf(bytes.toByteArray(), bytes.size() / 2);
    Path torn = Files.write(directory.resolve("torn.gz"), half);
    IOException e = assertThrows(IOException.class, () -> run(torn));
    assertTrue(
        e.getMessage().matches(torn + " is damaged after line [1-9][0-9]*: .*"), e.getMessage());
  }

  private CollectedRecords run(String... lines) throws IOException {
    return run(Files.writeString(directory.resolve("data.jsonl"), String.join("\n", lines)));
  }

  private static CollectedRecords run(Path file) throws IOException {
    return CollectedRecords.of(file, "hh-rlhf", SAFETY, Bounds.DEFAULT);
  }

  private static Judgment judgment(CollectedRecords collected, int index) {
    return (Judgment) collected.records.get(index);
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
