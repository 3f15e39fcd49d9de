package io.millrace.jobs.rejection;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.chat.Message;
import io.millrace.model.rejection.RejectionBag.Entry;
import io.millrace.model.rejection.RejectionBag.Scores;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BagFileTest {

  /** The format of the file: a change of it makes the bags of earlier runs unreadable. */
  private static final String LINE =
      "{\"promptId\":\"p-1\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},"
          + "{\"role\":\"user\",\"content\":\"Say \\\"hi\\\" \u00e4\"},"
          + "{\"role\":\"assistant\",\"content\":\"hi\\n\"}],\"isSafety\":true,"
          + "\"policyVersion\":12,\"temperature\":0.8,\"helpfulnessScore\":-1.5,"
          + "\"safetyScore\":0.1,\"helpfulnessVersion\":3,\"safetyVersion\":4,"
          + "\"promptTokens\":[1,7],\"responseTokens\":[9,2],\"source\":\"web\",\"time\":1500}";

  @TempDir private Path directory;

  private Path file(String... lines) throws IOException {
    return Files.write(directory.resolve("bag.jsonl"), List.of(lines));
  }

  @Test
  void aLineHasTheDialogueAsChatMessages() throws IOException {
    Entry entry =
        new Entry(
            "p-1",
            List.of(Message.system("Be brief."), Message.user("Say \"hi\" \u00e4")),
            true,
            new int[] {1, 7},
            new int[] {9, 2},
            "hi\n",
            12,
            0.8f,
            new Scores(-1.5f, 0.1f, 3, 4),
            "web",
            1500);
    Path file = directory.resolve("new/bag.jsonl");
    BagFile.write(file, List.of(entry, entry));
    assertEquals(List.of(LINE, LINE), Files.readAllLines(file));
  }

  @Test
  void readsWhatItWrote() throws IOException {
    List<Entry> entries = BagFile.read(file(LINE, LINE));
    assertEquals(2, entries.size());
    Entry entry = entries.getLast();
    assertEquals("p-1", entry.promptId());
    assertEquals(
        List.of(Message.system("Be brief."), Message.user("Say \"hi\" \u00e4")), entry.dialogue());
    assertEquals("hi\n", entry.text());
    assertTrue(entry.isSafety());
    assertArrayEquals(new int[] {1, 7}, entry.prompt());
    assertArrayEquals(new int[] {9, 2}, entry.response());
    assertEquals(12, entry.policyVersion());
    assertEquals(0.8f, entry.temperature());
    assertEquals(new Scores(-1.5f, 0.1f, 3, 4), entry.scores());
    assertEquals("web", entry.source());
    assertEquals(1500, entry.time());
    Path again = directory.resolve("again.jsonl");
    BagFile.write(again, entries);
    assertEquals(List.of(LINE, LINE), Files.readAllLines(again));
  }

  @Test
  void linesOfEarlierReleasesHaveNoSourceAndNoTime() throws IOException {
    String former = LINE.replace(",\"source\":\"web\",\"time\":1500", "");
    Entry entry = BagFile.read(file(former)).getFirst();
    assertEquals("", entry.source());
    assertEquals(0, entry.time());
    assertEquals(List.of("p-1"), entry.provenance().ids());
  }

  @Test
  void fieldsOfLaterVersionsAreSkipped() throws IOException {
    assertEquals(
        1,
        BagFile.read(file(LINE.replace("\"policyVersion\"", "\"x\":[],\"policyVersion\""))).size());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"promptId\":\"p-1\", | ` ` | promptId is missing",
        "\"p-1\" | null | promptId is null",
        "\"isSafety\":true, | ` ` | isSafety is missing",
        "\"isSafety\":true | \"isSafety\":\"true\" | isSafety",
        "\"isSafety\":true | \"isSafety\":1 | isSafety",
        "\"policyVersion\":12 | \"policyVersion\":1.5 | policyVersion",
        "\"policyVersion\":12 | \"policyVersion\":null | policyVersion is null",
        "\"temperature\":0.8 | \"temperature\":\"0.8\" | temperature: Cannot coerce String value"
            + " (\"0.8\") to `float` value",
        "\"temperature\":0.8 | \"temperature\":\"NaN\" | temperature is NaN",
        "-1.5 | 1e99 | helpfulnessScore is Infinity",
        "-1.5 | {} | helpfulnessScore",
        "[1,7] | 7 | promptTokens",
        "[1,7] | [] | promptTokens is empty",
        "[1,7] | [1,-7] | promptTokens holds -7",
        "[9,2] | [9,\"2\"] | responseTokens[1]",
        "[9,2] | [9,null] | responseTokens[1] is null",
        "[9,2] | [9,2.5] | responseTokens[1]",
        "[9,2] | [9,99999999999] | responseTokens[1]",
        "\"user\" | \"usr\" | messages[1].role",
        "\"role\":\"user\", | ` ` | messages[1].role is missing",
        "\"content\":\"hi\\n\" | \"text\":\"hi\" | messages[2].content is missing",
        "\"assistant\" | \"user\" | messages do not end with a response",
        "[{\"role\":\"system\" | {\"role\":\"system\" | messages",
        "1500} | 1500}} | ` `",
        "1500} | 1500 | ` `",
      })
  void aLineThatIsNoneIsRefusedByFileLineAndField(String from, String to, String field)
      throws IOException {
    assertTrue(LINE.contains(from), from);
    Path file = file(LINE, LINE.replace(from, to.strip()), LINE);
    IOException e = assertThrows(IOException.class, () -> BagFile.read(file));
    assertTrue(e.getMessage().startsWith(file + ":2 is no line of a bag: "), e.getMessage());
    assertTrue(e.getMessage().contains(field.strip()), e.getMessage());
    assertEquals(1, e.getMessage().lines().count(), e.getMessage());
  }

  @ParameterizedTest
  @CsvSource({"''", "null", "[]", "5", "{}"})
  void whatIsNoRecordAtAllIsRefused(String line) throws IOException {
    Path file = file(line);
    IOException e = assertThrows(IOException.class, () -> BagFile.read(file));
    assertTrue(e.getMessage().startsWith(file + ":1 is no line of a bag: "), e.getMessage());
  }
}
