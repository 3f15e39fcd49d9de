package io.millrace.connectors.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.TestBroker;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

class TopicAdminTest {

  @Test
  void newTopicsTakeRecordsOfTheOptionsSize() throws IOException {
    KafkaSettings topics = TestBroker.freshTopics();
    KafkaSettings other =
        new KafkaSettings(
            topics.bootstrapServers(), topics.topicPrefix() + "other.", Map.of(), 20 << 20);
    try (TopicAdmin admin = new TopicAdmin(other)) {
      admin.createAll(1, 1);
      admin.require(TopicLayout.of(other));
      for (TopicAdmin.State state : admin.describe()) {
        assertEquals(20 << 20, state.maxRecordBytes(), state.name());
      }
    }
    // More than the broker's own message.max.bytes: the topic's limit decides.
    try (RecordWriter writer = new RecordWriter(other)) {
      writer.sendRaw(Topic.PROMPTS, null, new byte[other.maxPayloadBytes()]);
    }
  }

  @Test
  void aTopicWithALowerLimitIsNamedAndAltered() throws IOException {
    KafkaSettings topics = TestBroker.freshTopics();
    KafkaSettings larger =
        new KafkaSettings(topics.bootstrapServers(), topics.topicPrefix(), Map.of(), 32 << 20);
    try (TopicAdmin admin = new TopicAdmin(larger)) {
      TopicLayout layout = TopicLayout.of(larger);
      IOException e = assertThrows(IOException.class, () -> admin.require(layout));
      assertTrue(
          e.getMessage()
              .contains(
                  larger.nameOf(Topic.DEAD_LETTERS)
                      + " takes records up to 16777216 bytes, not 33554432"),
          e.getMessage());
      assertTrue(
          e.getMessage().contains("millrace topics --alter --max-record-size 33554432b"),
          e.getMessage());
      assertEquals(Topic.all().size(), admin.alter(layout).size());
      admin.require(layout);
      assertEquals(List.of(), admin.alter(layout));
    }
  }

  @Test
  void partitionsAreAddedAndNeverRemoved() throws IOException {
    KafkaSettings topics = TestBroker.freshTopics();
    try (TopicAdmin admin = new TopicAdmin(topics)) {
      admin.requirePartitions(OptionalInt.empty());
      IOException different =
          assertThrows(IOException.class, () -> admin.requirePartitions(OptionalInt.of(4)));
      assertTrue(
          different.getMessage().contains(topics.nameOf(Topic.PROMPTS) + " has 2 partitions, not 4")
              && different.getMessage().contains("millrace topics --alter --partitions 4"),
          different.getMessage());
      admin.alter(new TopicLayout(OptionalInt.of(4), OptionalInt.of(1), 0));
      admin.requirePartitions(OptionalInt.of(4));
      for (TopicAdmin.State state : admin.describe()) {
        assertEquals(state.topic().compacted() ? 1 : 4, state.partitions(), state.name());
      }
      IOException fewer =
          assertThrows(
              IOException.class,
              () -> admin.alter(new TopicLayout(OptionalInt.of(3), OptionalInt.empty(), 0)));
      assertTrue(fewer.getMessage().contains("Kafka cannot remove any"), fewer.getMessage());
      IOException replicas =
          assertThrows(
              IOException.class,
              () -> admin.alter(new TopicLayout(OptionalInt.of(5), OptionalInt.of(2), 0)));
      assertTrue(replicas.getMessage().contains("has 1 replicas"), replicas.getMessage());
      admin.requirePartitions(OptionalInt.of(4));
    }
  }
}
