package io.millrace.connectors.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.TestBroker;
import io.millrace.connectors.TestJobs;
import io.millrace.connectors.TestRecords;
import io.millrace.connectors.flink.source.Sources.Bound;
import io.millrace.connectors.flink.source.Sources.Start;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.registry.FakeRegistry;
import io.millrace.connectors.registry.WireSettings;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.RecordEncoder;
import io.millrace.schemas.wire.SchemaFiles;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Every format on one topic, and a registry that fails. */
class WireFormatsTest {
  private static final String PROMPT = SchemaFiles.selfContained(Prompt.getClassSchema());

  @TempDir Path flinkCheckpoints;

  @Test
  void eachRecordOfEachFormatArrivesOnceAndEachBadOneIsADeadLetter() throws Exception {
    KafkaSettings topics = TestBroker.freshTopics();
    KafkaSettings out = TestBroker.freshTopics();
    TreeSet<String> expected = new TreeSet<>();
    try (FakeRegistry registry = new FakeRegistry();
        RecordWriter writer = new RecordWriter(topics)) {
      registry.put(1, PROMPT);
      registry.put(2, PROMPT.replace("\"promptId\"", "\"prompt\""));
      KafkaSettings in =
          topics.with(
              WireSettings.of(registry.url(), Map.of(), Map.of("dead-letters", "confluent")));
      List<RecordEncoder<Prompt>> formats =
          List.of(
              RecordEncoder.singleObject(Prompt.class),
              RecordEncoder.confluent(Prompt.class, 1),
              RecordEncoder.json());
      RecordEncoder<Prompt> renamed = RecordEncoder.confluent(Prompt.class, 2);
      for (int i = 0; i < 60; i++) {
        send(writer, "p" + i, formats.get(i % 3).encode(TestRecords.prompt("p" + i)));
        expected.add("p" + i);
        send(writer, "poison" + i, ByteBuffer.allocate(40).putInt(1, 666).array());
        send(writer, "other" + i, renamed.encode(TestRecords.prompt("other" + i)));
      }
      send(writer, "typo", json("{\"promptId\":\"typo\",\"dialog\":[]}"));
      send(writer, "cut", json("{\"promptId\":\"cut\""));
      send(writer, "invalid", json("{\"promptId\":\"invalid\",\"dialogue\":[]}"));
      writer.flush();
      // The tasks fail twice, and read the same records again.
      registry.refuse(2);
      StreamExecutionEnvironment env = TestJobs.environment(flinkCheckpoints, 2);
      Streams.write(
          TopicInput.of(Topic.PROMPTS)
              .kafka(in)
              .job("formats")
              .start(Start.EARLIEST)
              .bound(Bound.CURRENT_END)
              .read(env),
          out.with(WireSettings.of("", Map.of(), Map.of("prompts", "json"))),
          Topic.PROMPTS,
          "formats");
      Map<String, Object> counts = env.execute("formats").getAllAccumulatorResults();
      assertEquals(60L, counts.get("topics/prompts/accepted"));
      assertEquals(60L, counts.get("topics/prompts/dead-letters/unknown-schema"));
      assertEquals(60L, counts.get("topics/prompts/dead-letters/incompatible-schema"));
      assertEquals(2L, counts.get("topics/prompts/dead-letters/undecodable"));
      assertEquals(1L, counts.get("topics/prompts/dead-letters/invalid"));
      // At most once for each of two subtasks, and again after each failure.
      assertTrue(registry.requests("GET /schemas/ids/666") <= 6, registry.requests() + "");

      List<String> ids = new ArrayList<>();
      try (RecordReader<Prompt> reader = RecordReader.fromEarliest(out, Topic.PROMPTS)) {
        reader.readToEnd(
            entry -> {
              assertEquals('{', entry.value()[0]);
              ids.add(entry.record().orElseThrow().getPromptId());
            });
      }
      assertEquals(60, ids.size());
      assertEquals(expected, new TreeSet<>(ids));
      assertLetters(in);
    }
  }

  private static void assertLetters(KafkaSettings in) throws IOException {
    Map<String, DeadLetter> letters = new TreeMap<>();
    try (RecordReader<DeadLetter> reader = RecordReader.fromEarliest(in, Topic.DEAD_LETTERS)) {
      reader.readToEnd(
          entry -> {
            assertEquals(0, entry.value()[0], "Confluent's framing");
            DeadLetter letter = entry.record().orElseThrow();
            letters.put(StandardCharsets.UTF_8.decode(letter.getKey()).toString(), letter);
          });
    }
    assertEquals(123, letters.size());
    assertMessage(letters, "poison7", "schema id 666 is not in the registry at http://127.0.0.1:");
    assertMessage(letters, "other7", "missing required field promptId");
    assertMessage(letters, "typo", "unknown field \"dialog\"; did you mean dialogue?");
    assertMessage(letters, "cut", "not JSON");
    assertMessage(letters, "invalid", "dialogue is empty");
  }

  private static void assertMessage(Map<String, DeadLetter> letters, String key, String expected) {
    String message = letters.get(key).getMessage();
    assertTrue(message.contains(expected), message);
  }

  private static void send(RecordWriter writer, String key, byte[] value) throws IOException {
    writer.sendRaw(Topic.PROMPTS, key.getBytes(StandardCharsets.UTF_8), value);
  }

  private static byte[] json(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
