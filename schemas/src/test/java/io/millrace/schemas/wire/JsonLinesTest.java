package io.millrace.schemas.wire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.schemas.Examples;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Reward;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import java.time.Instant;
import java.util.List;
import java.util.Random;
import org.apache.avro.specific.SpecificRecordBase;
import org.junit.jupiter.api.Test;

class JsonLinesTest {
  @Test
  void everyTopicsRecordSurvivesARoundTrip() {
    for (SpecificRecordBase record : Examples.all()) {
      String line = JsonLines.write(record);
      assertFalse(line.contains("\n"), line);
      assertEquals(record, JsonLines.read(record.getClass(), line), line);
    }
  }

  @Test
  void writesPlainJson() {
    assertEquals(
        "{\"promptId\":\"p1\",\"dialogue\":[{\"role\":\"SYSTEM\",\"content\":\"Be short.\"},"
            + "{\"role\":\"USER\",\"content\":\"What is the capital of France?\"}],"
            + "\"isSafety\":true,\"source\":\"test\",\"time\":\"2026-01-02T03:04:05.678Z\"}",
        JsonLines.write(Examples.prompt()));
    String judgment = JsonLines.write(Examples.judgment());
    assertTrue(
        judgment.contains(
            "\"responseB\":{\"text\":\"No.\",\"rolloutId\":null,\"policyVersion\":null,\"unsafe\":null,\"truncated\":null}"),
        judgment);
    assertTrue(judgment.contains("\"rating\":\"BETTER\""), judgment);
    String letter = JsonLines.write(Examples.all().getLast());
    assertTrue(letter.contains("\"key\":null,\"value\":\"AP94\""), letter);
  }

  @Test
  void missingFieldsTakeTheSchemasDefault() {
    Prompt prompt =
        JsonLines.read(
            Prompt.class,
            "{\"promptId\":\"p\",\"dialogue\":[{\"role\":\"USER\",\"content\":\"Hi\"}]}");
    assertEquals(
        new Prompt("p", List.of(new Turn(Role.USER, "Hi")), false, "", Instant.EPOCH), prompt);
    Prompt withMillis =
        JsonLines.read(Prompt.class, "{\"promptId\":\"p\",\"dialogue\":[],\"time\":1500}");
    assertEquals(Instant.ofEpochMilli(1500), withMillis.getTime());
  }

  @Test
  void nonFiniteNumbersSurviveARoundTrip() {
    String line = JsonLines.write(Examples.reward()).replace("\"kl\":0.125", "\"kl\":\"NaN\"");
    Reward reward = JsonLines.read(Reward.class, line);
    assertTrue(Float.isNaN(reward.getKl()));
    assertTrue(JsonLines.write(reward).contains("\"kl\":\"NaN\""));
  }

  @Test
  void errorsNameThePathAndTheRemedy() {
    assertError("unknown field \"isSafty\"; did you mean isSafety?", "{\"isSafty\":true}");
    assertError("missing field \"promptId\" (string)", "{\"dialogue\":[]}");
    assertError(
        "field \"dialogue[1].role\" is \"USR\"; did you mean USER?",
        "{\"promptId\":\"p\",\"dialogue\":[{\"role\":\"USER\",\"content\":\"a\"},"
            + "{\"role\":\"USR\",\"content\":\"a\"}]}");
    assertError(
        "missing field \"dialogue[0].content\" (string)",
        "{\"promptId\":\"p\",\"dialogue\":[{\"role\":\"USER\"}]}");
    assertError("field \"promptId\" is number 5; expected a string", "{\"promptId\":5}");
    assertError(
        "field \"isSafety\" is string \"yes\"; expected true or false",
        "{\"promptId\":\"p\",\"dialogue\":[],\"isSafety\":\"yes\"}");
    assertError(
        "field \"time\" is string \"yesterday\"; expected a time",
        "{\"promptId\":\"p\",\"dialogue\":[],\"time\":\"yesterday\"}");
    assertError("the line is array; expected an object", "[]");
    assertError("the line is nothing; expected an object", "");
    assertError("not JSON", "{\"promptId\":");
    assertError("not JSON", "{} {}");
    assertError("not JSON", "{\"promptId\":\"a\",\"promptId\":\"b\"}");
  }

  @Test
  void integersDoNotOverflow() {
    String line = JsonLines.write(Examples.judgment());
    String huge = line.replace("\"policyVersion\":3", "\"policyVersion\":99999999999999999999");
    WireFormatException e =
        assertThrows(WireFormatException.class, () -> JsonLines.read(Judgment.class, huge));
    assertTrue(e.getMessage().contains("responseA.policyVersion"), e.getMessage());
  }

  @Test
  void aDamagedLineThrowsOnlyAWireFormatException() {
    Random random = new Random(4);
    String valid = JsonLines.write(Examples.judgment());
    String alphabet = "{}[]\",:0123456789.eE-+truefalsn\\ \u0000ü";
    int refused = 0;
    for (int round = 0; round < 5_000; round++) {
      StringBuilder line = new StringBuilder(valid);
      for (int edits = 1 + random.nextInt(3); edits > 0; edits--) {
        char replacement = alphabet.charAt(random.nextInt(alphabet.length()));
        line.setCharAt(random.nextInt(line.length()), replacement);
      }
      try {
        JsonLines.read(Judgment.class, line.toString());
      } catch (WireFormatException e) {
        refused++;
      }
    }
    assertTrue(refused > 1_000, "only " + refused + " of 5,000 lines were refused");
  }

  private static void assertError(String message, String line) {
    WireFormatException e =
        assertThrows(WireFormatException.class, () -> JsonLines.read(Prompt.class, line));
    assertTrue(e.getMessage().startsWith(message), e.getMessage());
  }
}
