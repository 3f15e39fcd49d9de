package io.millrace.connectors.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.TestBroker;
import io.millrace.connectors.TestRecords;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.time.Duration;
import java.util.HashSet;
import java.util.OptionalInt;
import java.util.Set;
import org.junit.jupiter.api.Test;

class RecordReaderTest {

  @Test
  void readsPartitionsThatAreAddedLater() throws IOException {
    KafkaSettings kafka = TestBroker.freshTopics();
    Set<Integer> partitions = new HashSet<>();
    try (RecordReader<Prompt> reader =
            RecordReader.fromEarliest(kafka, Topic.PROMPTS, Duration.ofMillis(100));
        RecordWriter writer = new RecordWriter(kafka);
        TopicAdmin admin = new TopicAdmin(kafka)) {
      writer.send(Topic.PROMPTS, TestRecords.prompt("first"));
      writer.flush();
      assertTrue(reader.next(Duration.ofSeconds(20)).isPresent());
      admin.alter(new TopicLayout(OptionalInt.of(5), OptionalInt.empty(), 0));
      try (RecordWriter later = new RecordWriter(kafka)) {
        for (int i = 0; i < 100; i++) {
          later.send(Topic.PROMPTS, TestRecords.prompt("p" + i));
        }
      }
      for (int i = 0; i < 100; i++) {
        partitions.add(reader.next(Duration.ofSeconds(20)).orElseThrow().partition());
      }
    }
    assertEquals(Set.of(0, 1, 2, 3, 4), partitions);
  }
}
