package io.millrace.schemas;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.avro.specific.SpecificRecordBase;
import org.junit.jupiter.api.Test;

class TopicTest {
  @Test
  void everyTopicHasItsKeyAndCleanup() {
    List<String> keys = new ArrayList<>();
    for (int i = 0; i < Topic.all().size(); i++) {
      keys.add(key(Topic.all().get(i), Examples.all().get(i)));
    }
    assertEquals(
        List.of(
            "prompts p1",
            "demonstrations d1",
            "judgments j1",
            "feedback f1",
            "withdrawals w1 compacted",
            "assignments t1/ann compacted",
            "rollouts p1/0",
            "rewards p1/0",
            "reward-checkpoints SAFETY/judge compacted",
            "policy-checkpoints policy compacted",
            "promotions policy compacted",
            "lineage policy/4/0 compacted",
            "training-metrics ppo",
            "dead-letters millrace.prompts/1/42"),
        keys);
  }

  @Test
  void isFoundWithAndWithoutPrefix() {
    assertSame(Topic.PROMPTS, Topic.named("prompts", "millrace."));
    assertSame(Topic.PROMPTS, Topic.named("millrace.prompts", "millrace."));
    assertSame(Topic.PROMPTS, Topic.named("prompts", ""));
    assertEquals("x-prompts", Topic.PROMPTS.name("x-"));
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class, () -> Topic.named("millrace.jugdments", "millrace."));
    assertEquals("unknown topic \"millrace.jugdments\"; did you mean judgments?", e.getMessage());
    IllegalArgumentException far =
        assertThrows(IllegalArgumentException.class, () -> Topic.named("xyz", ""));
    assertTrue(far.getMessage().contains("known are prompts, demonstrations"), far.getMessage());
  }

  @Test
  void staysOneInstanceThroughSerialization() throws IOException, ClassNotFoundException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
      out.writeObject(Topic.ROLLOUTS);
    }
    try (ObjectInputStream in =
        new ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray()))) {
      assertSame(Topic.ROLLOUTS, in.readObject());
    }
  }

  private static <T extends SpecificRecordBase> String key(
      Topic<T> topic, SpecificRecordBase record) {
    String compacted = topic.compacted() ? " compacted" : "";
    return topic.name() + " " + topic.keyOf(topic.type().cast(record)) + compacted;
  }

  /** The table in docs/topics.md has exactly these topics, with record type and cleanup. */
  @Test
  void theTopicsPageListsAllTopics() throws IOException {
    List<String> written =
        Files.readAllLines(Path.of("../docs/topics.md")).stream()
            .filter(line -> line.matches("\\| `[a-z-]+` \\| `\\w+` \\|.*"))
            .map(TopicTest::described)
            .toList();
    List<String> known =
        Topic.all().stream()
            .map(
                topic ->
                    "%s %s %s"
                        .formatted(
                            topic.name(),
                            topic.type().getSimpleName(),
                            topic.compacted() ? "compact" : "delete"))
            .toList();
    assertEquals(known, written);
  }

  private static String described(String row) {
    List<String> cells = Arrays.stream(row.split("\\|")).map(String::strip).toList();
    String cleanup = cells.getLast().startsWith("compact") ? "compact" : cells.getLast();
    return (cells.get(1) + " " + cells.get(2) + " ").replace("`", "") + cleanup;
  }
}
