package io.millrace.console.annotate;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.schemas.Assignment;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Validation;
import io.millrace.schemas.wire.SingleObject;
import io.millrace.serve.api.ApiException;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Changes of the topic {@code assignments}, and of what belongs to them in other topics. For each
 * change a thread:
 *
 * <ol>
 *   <li>reads the topic to its end, and decides what to write;
 *   <li>writes the records in one transaction;
 *   <li>reads on until it has read its own record, and answers.
 * </ol>
 *
 * <p>After a failure nobody knows whether the transaction was committed. A new producer with the
 * same transactional id makes Kafka end it; then the thread reads the topic, and decides anew.
 */
final class AssignmentLog implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(AssignmentLog.class);
  private static final int MOST_WAITING = 1000;
  private static final Duration TIMEOUT = Duration.ofSeconds(20);
  private static final Duration RETRY = Duration.ofSeconds(1);
  private static final Duration POLL = Duration.ofMillis(200);

  private final KafkaSettings kafka;
  private final int overlap;
  private final String id = UUID.randomUUID().toString();
  private final BlockingQueue<Work<?>> waiting = new ArrayBlockingQueue<>(MOST_WAITING);
  private final Thread thread = new Thread(this::run, "assignments");
  private volatile boolean closed;
  private volatile boolean ready;

  // The thread's own.
  private Producer<byte[], byte[]> producer;
  private RecordReader<Assignment> reader;
  private Assignments state;
  private long read;

  AssignmentLog(KafkaSettings kafka, int overlap) {
    this.kafka = kafka;
    this.overlap = overlap;
    thread.setDaemon(true);
    thread.start();
  }

  /** Decides what to write, from what the topic holds. */
  interface Decision<R> {
    /**
     * The change, if it is possible.
     *
     * @throws ApiException if it is not
     */
    Change<R> decide(Assignments state);
  }

  /**
   * What to write.
   *
   * @param records all of them, or none, are stored
   * @param result made once they are stored and read
   */
  record Change<R>(List<Entry<?>> records, Function<Assignments, R> result) {

    static <R> Change<R> none(R result) {
      return new Change<>(List.of(), _ -> result);
    }
  }

  /** A record and its topic. */
  record Entry<T extends SpecificRecordBase>(Topic<T> topic, T record) {

    Entry {
      List<String> problems = Validation.problems(record);
      if (!problems.isEmpty()) {
        throw ApiException.badRequest("invalid_record", String.join("; ", problems));
      }
    }

    private ProducerRecord<byte[], byte[]> encoded(KafkaSettings kafka) {
      byte[] key = topic.keyBytes(record);
      byte[] value = SingleObject.of(topic.type()).encode(record);
      if (!kafka.fits(key, value)) {
        throw ApiException.tooLarge(kafka.tooLarge(topic, key, value));
      }
      return new ProducerRecord<>(kafka.nameOf(topic), key, value);
    }
  }

  private record Work<R>(Decision<R> decision, CompletableFuture<R> result, long end) {

    void fail(ApiException e) {
      result.completeExceptionally(e);
    }
  }

  /** Whether the topic has been read, and Kafka takes changes. */
  boolean isReady() {
    return ready;
  }

  /**
   * Makes a change.
   *
   * @return its result, once Kafka has stored it
   * @throws ApiException if it is impossible, or if Kafka does not answer
   */
  <R> R change(Decision<R> decision) {
    Work<R> work =
        new Work<>(decision, new CompletableFuture<>(), System.nanoTime() + TIMEOUT.toNanos());
    if (closed || !waiting.offer(work)) {
      throw unavailable();
    }
    try {
      return work.result().get(TIMEOUT.plusSeconds(20).toMillis(), TimeUnit.MILLISECONDS);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof ApiException api) {
        throw api;
      }
      throw new IllegalStateException("a change of assignments failed", e.getCause());
    } catch (TimeoutException e) {
      throw unavailable();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw unavailable();
    }
  }

  private static ApiException unavailable() {
    return ApiException.unavailable(
        "kafka_unavailable",
        Duration.ofSeconds(2),
        "Kafka did not answer in time; nothing is lost: send the same again");
  }

  private void run() {
    Work<?> work = null;
    try {
      while (!closed) {
        try {
          connect();
          ready = true;
          if (work == null) {
            work = waiting.poll(100, TimeUnit.MILLISECONDS);
          }
          if (work != null) {
            process(work);
            work = null;
          }
        } catch (IOException | RuntimeException e) {
          LOG.warn("Assignments wait for Kafka: {}", e.getMessage());
          ready = false;
          disconnect();
          if (work != null && System.nanoTime() > work.end()) {
            work.fail(unavailable());
            work = null;
          }
          waiting.removeIf(AssignmentLog::expired);
          Thread.sleep(RETRY);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      disconnect();
      if (work != null) {
        work.fail(unavailable());
      }
      waiting.forEach(each -> each.fail(unavailable()));
    }
  }

  private static boolean expired(Work<?> work) {
    boolean over = System.nanoTime() > work.end();
    if (over) {
      work.fail(unavailable());
    }
    return over;
  }

  private <R> void process(Work<R> work) throws IOException, InterruptedException {
    if (expired(work)) {
      return;
    }
    readOn();
    Change<R> change;
    List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
    try {
      change = work.decision().decide(state);
      change.records().forEach(entry -> records.add(entry.encoded(kafka)));
    } catch (ApiException e) {
      work.fail(e);
      return;
    } catch (RuntimeException e) {
      LOG.error("A change of assignments failed", e);
      work.result().completeExceptionally(e);
      return;
    }
    if (!records.isEmpty()) {
      commit(records, work.end());
    }
    work.result().complete(change.result().apply(state));
  }

  private void commit(List<ProducerRecord<byte[], byte[]>> records, long end)
      throws IOException, InterruptedException {
    long own = -1;
    producer.beginTransaction();
    List<Future<RecordMetadata>> sent = new ArrayList<>();
    records.forEach(record -> sent.add(producer.send(record)));
    producer.commitTransaction();
    for (Future<RecordMetadata> each : sent) {
      try {
        RecordMetadata place = each.get();
        if (place.topic().equals(kafka.nameOf(Topic.ASSIGNMENTS))) {
          own = place.offset();
        }
      } catch (ExecutionException e) {
        throw kafka.failure("store a record", e.getCause());
      }
    }
    // Another console's open transaction may hide the record for a while.
    while (read < own) {
      if (System.nanoTime() > end) {
        throw new IOException("a transaction of another console stays open");
      }
      reader.next(POLL).ifPresent(this::take);
    }
  }

  private void readOn() throws IOException {
    long _ = reader.readToEnd(this::take);
  }

  private void take(RecordReader.Entry<Assignment> entry) {
    read = Math.max(read, entry.offset());
    entry.record().ifPresent(state::add);
    if (entry.problem().isPresent()) {
      LOG.warn(
          "{} has no valid record at offset {}: {}",
          kafka.nameOf(Topic.ASSIGNMENTS),
          entry.offset(),
          entry.problem().get().getMessage());
    }
  }

  private void connect() throws IOException {
    if (producer != null) {
      return;
    }
    Producer<byte[], byte[]> next =
        kafka.byteProducer(
            Map.of(
                "acks", "all",
                "enable.idempotence", "true",
                "transactional.id", kafka.topicPrefix() + "console-" + id,
                // Readers wait this long for a console that was killed.
                "transaction.timeout.ms", "10000",
                "delivery.timeout.ms", "9000",
                "request.timeout.ms", "8000",
                "max.block.ms", "10000"));
    try {
      next.initTransactions();
      reader = RecordReader.fromEarliest(kafka, Topic.ASSIGNMENTS);
      state = new Assignments(overlap);
      read = -1;
      readOn();
      producer = next;
    } catch (IOException | RuntimeException e) {
      next.close(Duration.ZERO);
      closeReader();
      throw e;
    }
  }

  private void disconnect() {
    if (producer != null) {
      producer.close(Duration.ZERO);
      producer = null;
    }
    closeReader();
  }

  private void closeReader() {
    if (reader != null) {
      reader.close();
      reader = null;
    }
  }

  @Override
  public void close() {
    closed = true;
    try {
      boolean _ = thread.join(Duration.ofSeconds(15));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
