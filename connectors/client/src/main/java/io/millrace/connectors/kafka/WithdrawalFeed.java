package io.millrace.connectors.kafka;

import io.millrace.schemas.Topic;
import io.millrace.schemas.Validation;
import io.millrace.schemas.Withdrawal;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.apache.kafka.common.KafkaException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads the topic {@code withdrawals}: first all records up to its end, then new ones, on a thread
 * of its own. The topic is compacted and small, so every start reads it from its first record, and
 * needs no consumer group and no saved position. A withdrawal may come more than once.
 */
public final class WithdrawalFeed implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(WithdrawalFeed.class);

  /** Time between two looks at the topic's end. */
  private static final Duration EVERY = Duration.ofSeconds(1);

  /** How long a look at a broker that answers takes at most. */
  private static final Duration CLOSING = Duration.ofSeconds(2);

  private final KafkaSettings settings;
  private final CountDownLatch closed = new CountDownLatch(1);
  private RecordReader<Withdrawal> reader;
  private Thread thread;

  public WithdrawalFeed(KafkaSettings settings) {
    this.settings = settings;
  }

  /**
   * Reads all withdrawals up to the present end of the topic. Called once, before {@link #follow}.
   *
   * @throws IOException when Kafka does not answer, or has no such topic
   */
  public List<Withdrawal> readAll() throws IOException {
    reader = RecordReader.fromEarliest(settings, Topic.WITHDRAWALS);
    return read();
  }

  /**
   * Begins to pass on the withdrawals that come. When Kafka does not answer, the feed logs it and
   * tries again.
   *
   * @param name of the thread
   * @param sink is called on that thread, never with an empty list
   */
  public void follow(String name, Consumer<List<Withdrawal>> sink) {
    thread = new Thread(() -> run(sink), name);
    thread.setDaemon(true);
    thread.start();
  }

  private void run(Consumer<List<Withdrawal>> sink) {
    boolean failing = false;
    try {
      while (!closed.await(EVERY.toMillis(), TimeUnit.MILLISECONDS)) {
        try {
          List<Withdrawal> found = reader == null ? readAll() : read();
          failing = false;
          if (!found.isEmpty()) {
            sink.accept(found);
          }
        } catch (IOException e) {
          closeReader();
          if (!failing && closed.getCount() > 0) {
            LOG.warn(
                "{} cannot be read; until it can, records that are withdrawn now are still used:"
                    + " {}",
                settings.nameOf(Topic.WITHDRAWALS),
                e.getMessage());
          }
          failing = true;
        }
      }
    } catch (InterruptedException e) {
      // Closed.
    } finally {
      closeReader();
    }
  }

  private List<Withdrawal> read() throws IOException {
    List<Withdrawal> found = new ArrayList<>();
    long _ = reader.readToEnd(entry -> take(entry, found));
    return found;
  }

  private void take(RecordReader.Entry<Withdrawal> entry, List<Withdrawal> found) {
    List<String> problems =
        entry
            .record()
            .map(Validation::problems)
            .orElseGet(() -> List.of(entry.problem().orElseThrow().getMessage()));
    if (problems.isEmpty()) {
      found.add(entry.record().orElseThrow());
    } else if (entry.value() != null) {
      LOG.warn(
          "{} has no valid withdrawal at offset {}, and nothing is withdrawn by it: {}; send it"
              + " again with millrace produce",
          settings.nameOf(Topic.WITHDRAWALS),
          entry.offset(),
          String.join("; ", problems));
    }
  }

  private void closeReader() {
    if (reader != null) {
      try {
        reader.close();
      } catch (KafkaException e) {
        // Its thread was interrupted; nothing is lost, since it only reads.
        LOG.debug("a reader of withdrawals was closed while it was interrupted", e);
      }
      reader = null;
    }
  }

  /** Ends the thread. */
  @Override
  public void close() {
    closed.countDown();
    if (thread == null) {
      closeReader();
      return;
    }
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        if (!thread.join(CLOSING)) {
          // It waits for a broker that is gone.
          thread.interrupt();
        }
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
