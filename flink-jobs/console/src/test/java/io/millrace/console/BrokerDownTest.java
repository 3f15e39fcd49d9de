package io.millrace.console;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.console.RunningConsole.Visitor;
import io.millrace.schemas.Topic;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A choice while Kafka is away. */
@Tag("slow")
class BrokerDownTest {

  private static final String BETTER = "\"preferred\":\"a\",\"rating\":\"better\"";

  @TempDir private Path directory;

  @Test
  void aChoiceIsAcknowledgedOnlyWhenKafkaHasItAndStoredOnce() throws Exception {
    EmbeddedBroker broker = EmbeddedBroker.start(directory, 0);
    KafkaSettings kafka = new KafkaSettings(broker.bootstrapServers(), "millrace.", Map.of());
    int port = Integer.parseInt(broker.bootstrapServers().replaceFirst(".*:", ""));
    try {
      try (TopicAdmin admin = new TopicAdmin(kafka)) {
        admin.createAll(1, 1);
      }
      Rollouts.sendPairs(kafka, "p", 1);
      try (RunningConsole console = RunningConsole.start(kafka)) {
        Visitor ann = console.visitor("ann");
        JsonNode task = null;
        long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
        while (task == null && System.nanoTime() < end) {
          task = ann.next();
        }
        assertNotNull(task);
        broker.close();
        HttpResponse<String> away =
            ann.response("POST", "/api/annotate/submit", Visitor.choice(task, BETTER));
        assertEquals(503, away.statusCode(), away.body());
        assertTrue(away.body().contains("kafka_unavailable"), away.body());
        assertTrue(away.headers().firstValue("Retry-After").isPresent());
        broker = EmbeddedBroker.start(directory, port);
        int status = 0;
        end = System.nanoTime() + Duration.ofMinutes(2).toNanos();
        while (status != 200 && System.nanoTime() < end) {
          status = ann.status("POST", "/api/annotate/submit", Visitor.choice(task, BETTER));
        }
        assertEquals(200, status);
        assertEquals(1, Rollouts.read(kafka, Topic.JUDGMENTS).size());
        assertNull(ann.next());
      }
    } finally {
      broker.close();
    }
  }
}
