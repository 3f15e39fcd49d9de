package io.millrace.connectors.kafka;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.millrace.connectors.TestBroker;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Withdrawal;
import io.millrace.schemas.WithdrawnBy;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class WithdrawalFeedTest {

  private static Withdrawal withdrawal(String id) {
    return new Withdrawal(id, WithdrawnBy.SOURCE, "web", "", "", Instant.ofEpochMilli(1));
  }

  @Test
  void readsAllWithdrawalsAndThenThoseThatCome() throws Exception {
    KafkaSettings kafka = TestBroker.freshTopics();
    BlockingQueue<Withdrawal> arrived = new LinkedBlockingQueue<>();
    try (RecordWriter writer = new RecordWriter(kafka);
        WithdrawalFeed feed = new WithdrawalFeed(kafka)) {
      writer.send(Topic.WITHDRAWALS, withdrawal("w1"));
      writer.sendRaw(Topic.WITHDRAWALS, "w2".getBytes(StandardCharsets.UTF_8), new byte[] {1});
      writer.send(Topic.WITHDRAWALS, withdrawal(" "));
      writer.send(Topic.WITHDRAWALS, withdrawal("w3"));
      writer.flush();
      assertEquals(
          List.of("w1", "w3"),
          feed.readAll().stream().map(Withdrawal::getWithdrawalId).toList(),
          "what is no withdrawal is left out");
      feed.follow("feed of a test", arrived::addAll);
      writer.send(Topic.WITHDRAWALS, withdrawal("w4"));
      writer.flush();
      Withdrawal next = arrived.poll(30, TimeUnit.SECONDS);
      assertNotNull(next, "the withdrawal did not come");
      assertEquals("w4", next.getWithdrawalId());
    }
    assertFalse(
        Thread.getAllStackTraces().keySet().stream()
            .anyMatch(thread -> thread.getName().equals("feed of a test")),
        "a closed feed has no thread");
  }

  @Test
  void aMissingTopicIsNamed() throws IOException {
    String servers = TestBroker.freshTopics().bootstrapServers();
    try (WithdrawalFeed feed = new WithdrawalFeed(new KafkaSettings(servers, "no.", Map.of()))) {
      assertEquals(
          "topic no.withdrawals does not exist at %s; create it with: millrace topics --create"
              .formatted(servers),
          assertThrows(IOException.class, feed::readAll).getMessage());
    }
  }
}
