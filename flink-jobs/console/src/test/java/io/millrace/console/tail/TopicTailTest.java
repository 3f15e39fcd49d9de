package io.millrace.console.tail;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Withdrawal;
import io.millrace.schemas.WithdrawnBy;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TopicTailTest {

  @TempDir private Path directory;

  private static void send(KafkaSettings kafka, String... names) throws IOException {
    try (RecordWriter writer = new RecordWriter(kafka)) {
      for (String name : names) {
        writer.send(
            Topic.WITHDRAWALS,
            Withdrawal.newBuilder()
                .setWithdrawalId("ID/" + name)
                .setBy(WithdrawnBy.ID)
                .setName(name)
                .setRequestedBy("ann")
                .setReason("test")
                .setTime(Instant.now())
                .build());
      }
    }
  }

  private static void create(KafkaSettings kafka) throws IOException {
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      admin.createAll(1, 1);
    }
  }

  @Test
  void theRecordsOfATopicMadeAnewComeToo() throws Exception {
    try (EmbeddedBroker broker = EmbeddedBroker.start(directory.resolve("broker"), 0)) {
      KafkaSettings kafka = new KafkaSettings(broker.bootstrapServers(), "tail.", Map.of());
      create(kafka);
      send(kafka, "a", "b", "c");
      BlockingQueue<String> got = new LinkedBlockingQueue<>();
      try (TopicTail<Withdrawal> _ =
              new TopicTail<>(
                  kafka,
                  Topic.WITHDRAWALS,
                  Instant.EPOCH,
                  entry -> got.add(entry.record().orElseThrow().getName()));
          Admin admin =
              Admin.create(Map.of("bootstrap.servers", (Object) broker.bootstrapServers()))) {
        for (String name : new String[] {"a", "b", "c"}) {
          assertEquals(name, got.poll(30, TimeUnit.SECONDS));
        }
        admin.deleteTopics(List.of(kafka.nameOf(Topic.WITHDRAWALS))).all().get();
        create(kafka);
        send(kafka, "d", "e");
        assertEquals("d", got.poll(60, TimeUnit.SECONDS));
        assertEquals("e", got.poll(30, TimeUnit.SECONDS));
        assertNull(got.poll(1, TimeUnit.SECONDS), "nothing twice");
      }
    }
  }
}
