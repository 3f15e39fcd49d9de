package io.millrace.connectors.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.TestBroker;
import io.millrace.connectors.TestRecords;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.SingleObject;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.Test;

class WaitingRecordsTest {

  @Test
  void countsRecordsBehindAnOpenTransactionAndNamesIt() throws Exception {
    KafkaSettings kafka = TestBroker.freshTopics();
    try (KafkaProducer<byte[], byte[]> open = producer(kafka, "open");
        KafkaProducer<byte[], byte[]> committed = producer(kafka, "committed");
        RecordReader<Prompt> reader = RecordReader.fromEarliest(kafka, Topic.PROMPTS)) {
      send(committed, kafka, 4);
      committed.commitTransaction();
      awaitVisible(reader);

      send(open, kafka, 3);
      committed.beginTransaction();
      send(committed, kafka, 2);
      committed.commitTransaction();
      assertEquals(4, reader.readToEnd(entry -> {}));
      List<WaitingRecords> waiting = reader.waiting();
      assertEquals(1, waiting.size());
      // Three of the open transaction and two behind it; the marker does not count.
      assertEquals(5, waiting.getFirst().records());
      String text = waiting.getFirst().text(Instant.now());
      assertTrue(text.startsWith(kafka.nameOf(Topic.PROMPTS) + "-0: 5 records wait "), text);
      assertTrue(text.contains("the open transaction open, last written to "), text);
      try (TopicAdmin admin = new TopicAdmin(kafka)) {
        // Four records and a marker.
        assertEquals(5, admin.describe(Topic.PROMPTS).orElseThrow().offsets());
      }
      try (RecordReader<Prompt> counter = RecordReader.fromEarliest(kafka, Topic.PROMPTS)) {
        assertEquals(4, counter.countToEnd());
      }

      open.commitTransaction();
      awaitVisible(reader);
      assertEquals(5, reader.readToEnd(entry -> {}));
    }
  }

  /** The marker of a commit is written after the commit returns. */
  private static void awaitVisible(RecordReader<?> reader) throws IOException {
    long deadline = System.nanoTime() + Duration.ofSeconds(30).toNanos();
    while (!reader.waiting().isEmpty()) {
      assertTrue(System.nanoTime() < deadline, () -> "records still wait");
    }
  }

  private static KafkaProducer<byte[], byte[]> producer(KafkaSettings kafka, String id) {
    KafkaProducer<byte[], byte[]> producer =
        new KafkaProducer<>(
            kafka.producerProperties(Map.of("transactional.id", id)),
            new ByteArraySerializer(),
            new ByteArraySerializer());
    producer.initTransactions();
    producer.beginTransaction();
    return producer;
  }

  private static void send(KafkaProducer<byte[], byte[]> producer, KafkaSettings kafka, int count)
      throws IOException {
    byte[] value = SingleObject.of(Prompt.class).encode(TestRecords.prompt("p"));
    for (int i = 0; i < count; i++) {
      var _ = producer.send(new ProducerRecord<>(kafka.nameOf(Topic.PROMPTS), 0, null, value));
    }
    producer.flush();
  }
}
