package io.millrace.serve.feedback;

import io.millrace.schemas.Topic;
import io.millrace.serve.api.ApiException;
import io.millrace.serve.metrics.ServeMetrics;
import java.io.IOException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Stores feedback in Kafka, each id and revision once. A thread stores what has come in one
 * transaction after the other:
 *
 * <ol>
 *   <li>It reads the topics to their ends, and answers feedback that they hold already.
 *   <li>It stores the rest in a transaction.
 *   <li>It answers when Kafka has acknowledged the commit.
 * </ol>
 *
 * <p>After a failure nobody knows whether the transaction was committed. A new producer with the
 * same transactional id then makes Kafka end it, one way or the other, before the thread reads the
 * topics again. The same happens at the start of a server whose predecessor was killed.
 */
final class FeedbackWriter implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(FeedbackWriter.class);
  private static final int MOST_WAITING = 10_000;
  private static final int LARGEST_BATCH = 500;
  private static final Duration RETRY = Duration.ofSeconds(1);

  private final RecordSettings settings;
  private final RecordFormats formats;
  private final ServeMetrics metrics;
  private final Clock clock;
  private final BlockingQueue<Submission> waiting = new ArrayBlockingQueue<>(MOST_WAITING);
  private final Thread thread = new Thread(this::run, "feedback");
  private volatile boolean ready;
  private volatile boolean closed;

  // The thread's own.
  private Producer<byte[], byte[]> producer;
  private KnownFeedback known;

  FeedbackWriter(
      RecordSettings settings, RecordFormats formats, ServeMetrics metrics, Clock clock) {
    this.settings = settings;
    this.formats = formats;
    this.metrics = metrics;
    this.clock = clock;
    thread.setDaemon(true);
    thread.start();
  }

  /** Whether it has read the topics. */
  boolean isReady() {
    return ready;
  }

  /** Takes feedback; its result completes when Kafka has stored it. */
  void submit(Submission submission) {
    if (closed || !waiting.offer(submission)) {
      throw ApiException.unavailable(
          "kafka_unavailable",
          Duration.ofSeconds(5),
          "too much feedback waits for Kafka; try again later");
    }
  }

  private void run() {
    List<Submission> batch = new ArrayList<>();
    try {
      while (!closed || !batch.isEmpty() || !waiting.isEmpty()) {
        try {
          connect();
          ready = true;
          if (batch.isEmpty()) {
            Submission first = waiting.poll(100, TimeUnit.MILLISECONDS);
            if (first == null) {
              continue;
            }
            batch.add(first);
          }
          waiting.drainTo(batch, LARGEST_BATCH - batch.size());
          store(batch);
          batch.clear();
        } catch (IOException | RuntimeException e) {
          LOG.warn("Feedback waits for Kafka: {}", e.getMessage());
          disconnect();
          expire(batch);
          if (closed) {
            batch.forEach(each -> each.result().completeExceptionally(unavailable()));
            batch.clear();
          }
          Thread.sleep(RETRY);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      disconnect();
      waiting.forEach(each -> each.result().completeExceptionally(unavailable()));
    }
  }

  /** Ends the transactions of earlier producers of this name, and reads the topics. */
  private void connect() throws IOException {
    if (producer != null) {
      return;
    }
    Producer<byte[], byte[]> next =
        settings
            .kafka()
            .byteProducer(
                Map.of(
                    "acks", "all",
                    "enable.idempotence", "true",
                    "transactional.id",
                        settings.kafka().topicPrefix() + "serve-" + settings.instance(),
                    "transaction.timeout.ms", "15000",
                    "delivery.timeout.ms", "12000",
                    "request.timeout.ms", "10000",
                    "max.block.ms", "15000"));
    try {
      next.initTransactions();
      KnownFeedback read =
          new KnownFeedback(settings.kafka(), clock.instant().minus(settings.window()));
      try {
        read.readOn();
      } catch (IOException | RuntimeException e) {
        read.close();
        throw e;
      }
      known = read;
      producer = next;
    } catch (IOException | RuntimeException e) {
      next.close(Duration.ZERO);
      throw e;
    }
  }

  private void disconnect() {
    if (producer != null) {
      producer.close(Duration.ZERO);
      producer = null;
    }
    if (known != null) {
      known.close();
      known = null;
    }
  }

  private void expire(List<Submission> batch) {
    batch.removeIf(
        submission -> {
          boolean over = System.nanoTime() > submission.end();
          if (over) {
            submission.result().completeExceptionally(unavailable());
          }
          return over;
        });
  }

  private static ApiException unavailable() {
    return ApiException.unavailable(
        "kafka_unavailable",
        Duration.ofSeconds(2),
        "Kafka did not store the feedback in time; send it again with the same feedback_id");
  }

  private void store(List<Submission> batch) throws IOException {
    known.readOn();
    Instant now = clock.instant();
    known.ids().forgetBefore(now.minus(settings.window()));
    Map<String, Submission> fresh = new LinkedHashMap<>();
    List<Submission> same = new ArrayList<>();
    for (Submission submission : batch) {
      if (submission.result().isDone()) {
        continue;
      }
      if (System.nanoTime() > submission.end()) {
        submission.result().completeExceptionally(unavailable());
        continue;
      }
      KnownIds.Known before = known.ids().get(submission.id());
      Submission inBatch = fresh.get(submission.id());
      if (inBatch != null) {
        before = new KnownIds.Known(inBatch.revision(), inBatch.digests(), now);
      }
      if (before == null || submission.revision() > before.revision()) {
        if (inBatch != null) {
          // A revision of feedback of this batch: it waits for the next one.
          same.add(submission);
        } else {
          fresh.put(submission.id(), submission);
        }
      } else if (submission.revision() == before.revision()
          && submission.digests().equals(before.digests())) {
        same.add(submission);
      } else {
        submission.result().completeExceptionally(conflict(before));
      }
    }
    if (!fresh.isEmpty()) {
      commit(fresh.values());
    }
    for (Submission submission : fresh.values()) {
      known.ids().add(submission.id(), submission.revision(), submission.digests(), now);
      submission.entries().forEach(entry -> metrics.recorded(entry.topic().name()));
      submission.result().complete(true);
    }
    for (Submission submission : same) {
      KnownIds.Known stored = known.ids().get(submission.id());
      if (stored.revision() < submission.revision()) {
        requeue(submission);
      } else {
        metrics.repeated();
        submission.result().complete(false);
      }
    }
  }

  private void requeue(Submission submission) {
    if (!waiting.offer(submission)) {
      submission.result().completeExceptionally(unavailable());
    }
  }

  private static ApiException conflict(KnownIds.Known before) {
    return ApiException.conflict(
        "feedback_id",
        "the feedback_id has other feedback with revision %d; send another id, or a higher revision"
            .formatted(before.revision()));
  }

  private void commit(Iterable<Submission> fresh) {
    producer.beginTransaction();
    for (Submission submission : fresh) {
      for (Submission.Entry<?> entry : submission.entries()) {
        send(entry.topic(), entry);
      }
    }
    // Throws the failure of a record that was not stored.
    producer.commitTransaction();
  }

  private void send(Topic<?> topic, Submission.Entry<?> entry) {
    var _ =
        producer.send(
            new ProducerRecord<>(
                settings.kafka().nameOf(topic), entry.key(), entry.value(formats)));
  }

  @Override
  public void close() {
    closed = true;
    try {
      thread.join(Duration.ofSeconds(20));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
