package io.millrace.jobs.quickstart;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.jobs.demo.Annotators;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Annotators at work: takes rollouts from their topic in pairs, one pair a prompt, and sends
 * judgments. An application like any other: it knows Kafka, not Flink.
 */
final class AnnotatorService implements AutoCloseable {

  /** Every so many harmless pairs one is judged on safety too: harmless answers are safe ones. */
  private static final int SAFETY_EVERY = 4;

  private final Annotators annotators;
  private final RecordReader<Rollout> rollouts;
  private final RecordWriter judgments;
  private final Map<String, Rollout> unpaired = new HashMap<>();
  private final Thread thread = new Thread(this::work, "annotators");
  private volatile boolean closed;
  private volatile IOException failure;
  private final AtomicLong rolloutsSeen = new AtomicLong();
  private final AtomicLong judgmentsMade = new AtomicLong();
  private long harmlessPairs;

  AnnotatorService(KafkaSettings settings, Annotators annotators) throws IOException {
    this.annotators = annotators;
    this.rollouts = RecordReader.fromEarliest(settings, Topic.ROLLOUTS);
    this.judgments = new RecordWriter(settings);
    thread.setDaemon(true);
  }

  void start() {
    thread.start();
  }

  private void work() {
    try {
      while (!closed) {
        Optional<RecordReader.Entry<Rollout>> next = rollouts.next(Duration.ofMillis(100));
        if (next.isPresent()) {
          take(next.get().record().orElseThrow());
        }
      }
    } catch (IOException | RuntimeException e) {
      failure = e instanceof IOException io ? io : new IOException("annotators failed", e);
    }
  }

  private void take(Rollout rollout) throws IOException {
    Rollout other = unpaired.remove(rollout.getPromptId());
    if (other == null) {
      unpaired.put(rollout.getPromptId(), rollout);
    } else if (rollout.getResponseText().isBlank() || other.getResponseText().isBlank()) {
      // Nothing to compare: an annotator would skip it.
      rolloutsSeen.addAndGet(2);
      return;
    } else {
      if (rollout.getIsSafety()) {
        send(Objective.SAFETY, other, rollout);
      } else {
        send(Objective.HELPFULNESS, other, rollout);
        if (harmlessPairs++ % SAFETY_EVERY == 0) {
          send(Objective.SAFETY, other, rollout);
        }
      }
      rolloutsSeen.addAndGet(2);
    }
  }

  private void send(Objective objective, Rollout a, Rollout b) throws IOException {
    judgments.send(Topic.JUDGMENTS, annotators.judge(objective, a, b));
    judgmentsMade.incrementAndGet();
  }

  /** Rollouts judged or skipped so far. */
  long rolloutsSeen() throws IOException {
    if (failure != null) {
      throw failure;
    }
    return rolloutsSeen.get();
  }

  long judgmentsMade() {
    return judgmentsMade.get();
  }

  @Override
  public void close() throws IOException {
    closed = true;
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    rollouts.close();
    judgments.close();
  }
}
