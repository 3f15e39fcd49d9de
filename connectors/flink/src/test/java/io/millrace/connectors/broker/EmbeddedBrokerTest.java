package io.millrace.connectors.broker;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.TestRecords;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EmbeddedBrokerTest {
  @TempDir Path directory;

  @Test
  void keepsItsDataThroughARestart() throws IOException {
    try (EmbeddedBroker broker = EmbeddedBroker.start(directory, 0)) {
      KafkaSettings settings = KafkaSettings.of(broker.bootstrapServers());
      try (TopicAdmin admin = new TopicAdmin(settings)) {
        admin.awaitReady(Duration.ofSeconds(20));
        admin.createAll(3, 1);
        admin.createAll(3, 1); // All topics exist, which is no error.
      }
      try (RecordWriter writer = new RecordWriter(settings)) {
        for (int i = 0; i < 100; i++) {
          writer.send(Topic.PROMPTS, TestRecords.prompt("p" + i));
        }
      }
      IOException inUse = assertThrows(IOException.class, () -> EmbeddedBroker.start(directory, 0));
      assertTrue(inUse.getMessage().contains("in use by another broker"), inUse.getMessage());
    }

    try (EmbeddedBroker broker = EmbeddedBroker.start(directory, 0)) {
      KafkaSettings settings = KafkaSettings.of(broker.bootstrapServers());
      List<String> ids = new ArrayList<>();
      try (RecordReader<Prompt> reader = RecordReader.fromEarliest(settings, Topic.PROMPTS)) {
        reader.readToEnd(
            entry ->
                ids.add(
                    entry.record().orElseThrow(() -> entry.problem().orElseThrow()).getPromptId()));
      }
      assertEquals(100, ids.stream().distinct().count());
      assertEquals(100, ids.size());
      try (TopicAdmin admin = new TopicAdmin(settings)) {
        TopicAdmin.State prompts = admin.describe(Topic.PROMPTS).orElseThrow();
        assertEquals(3, prompts.partitions());
        assertEquals(100, prompts.offsets());
        assertTrue(admin.describe(Topic.POLICY_CHECKPOINTS).orElseThrow().compacted());
        assertEquals(Topic.all().size(), admin.describe().size());
      }
    }
  }

  @Test
  void namesATakenPort() throws IOException {
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.ofLiteral("127.0.0.1"))) {
      int port = taken.getLocalPort();
      IOException e = assertThrows(IOException.class, () -> EmbeddedBroker.start(directory, port));
      assertTrue(
          e.getMessage().startsWith("port " + port + " on 127.0.0.1 is taken"), e::getMessage);
    }
  }

  @Test
  void namesADirectoryThatIsAFile() throws IOException {
    Path file = Files.writeString(directory.resolve("file"), "");
    IOException e = assertThrows(IOException.class, () -> EmbeddedBroker.start(file, 0));
    assertTrue(e.getMessage().contains(file + " is not writable"), e::getMessage);
  }
}
