package io.millrace.console.tail;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.apache.avro.specific.SpecificRecordBase;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Follows a topic on a thread of its own, also while Kafka is away. Each record comes once; those
 * of a topic that was deleted and made anew are other records.
 */
public final class TopicTail<T extends SpecificRecordBase> implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(TopicTail.class);
  private static final Duration POLL = Duration.ofMillis(100);
  private static final Duration RETRY = Duration.ofSeconds(1);

  private final KafkaSettings kafka;
  private final Topic<T> topic;
  private final Instant since;
  private final Consumer<RecordReader.Entry<T>> sink;
  private final Map<Integer, Long> seen = new HashMap<>();
  private final Map<Integer, Long> seenByReader = new HashMap<>();
  private String id = "";
  private final CountDownLatch closed = new CountDownLatch(1);
  private final CountDownLatch caughtUp = new CountDownLatch(1);
  private final Thread thread;

  /**
   * @param since the first time that counts
   * @param sink gets the records that can be decoded, on the thread of the tail
   */
  public TopicTail(
      KafkaSettings kafka, Topic<T> topic, Instant since, Consumer<RecordReader.Entry<T>> sink) {
    this.kafka = kafka;
    this.topic = topic;
    this.since = since;
    this.sink = sink;
    this.thread = Thread.ofPlatform().daemon().name("tail-" + topic).start(this::run);
  }

  /** Waits until the records that were there at the start have been read. */
  public boolean awaitStart(Duration timeout) throws InterruptedException {
    return caughtUp.await(timeout.toMillis(), TimeUnit.MILLISECONDS);
  }

  private void run() {
    boolean failing = false;
    try {
      while (closed.getCount() > 0) {
        try {
          String before = topicId();
          try (RecordReader<T> reader = RecordReader.fromTime(kafka, topic, since)) {
            requireOneTopic(before);
            long _ = reader.readToEnd(this::take);
            caughtUp.countDown();
            failing = false;
            while (closed.getCount() > 0) {
              reader.next(POLL).ifPresent(this::take);
            }
          }
        } catch (IOException | RuntimeException e) {
          if (!failing && closed.getCount() > 0) {
            LOG.warn("{} cannot be read, trying again: {}", kafka.nameOf(topic), e.getMessage());
          }
          failing = true;
          boolean _ = closed.await(RETRY.toMillis(), TimeUnit.MILLISECONDS);
        }
      }
    } catch (InterruptedException e) {
      // Closed.
    }
  }

  private String topicId() throws IOException {
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      return admin.idOf(topic);
    }
  }

  /** Forgets the offsets of a topic that is there no more. */
  private void requireOneTopic(String before) throws IOException {
    if (!topicId().equals(before)) {
      throw new IOException("it was made anew just now");
    }
    if (!id.equals(before)) {
      seen.clear();
      id = before;
    }
    seenByReader.clear();
  }

  private void take(RecordReader.Entry<T> entry) {
    Long last = seenByReader.put(entry.partition(), entry.offset());
    if (last != null && last >= entry.offset()) {
      throw new IllegalStateException(
          "offset %d comes after offset %d".formatted(entry.offset(), last));
    }
    if (seen.getOrDefault(entry.partition(), -1L) >= entry.offset()) {
      return;
    }
    seen.put(entry.partition(), entry.offset());
    if (entry.record().isPresent()) {
      sink.accept(entry);
    }
  }

  @Override
  public void close() {
    closed.countDown();
    try {
      if (!thread.join(Duration.ofSeconds(2))) {
        thread.interrupt();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
