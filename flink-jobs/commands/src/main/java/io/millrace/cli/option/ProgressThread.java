package io.millrace.cli.option;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.demo.loop.Progress;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import java.io.IOException;
import java.time.Duration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Follows the topic training-metrics in a thread and prints what jobs write to it. */
public final class ProgressThread implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(ProgressThread.class);

  private static final Duration POLL = Duration.ofMillis(200);

  private final KafkaSettings settings;
  private final Progress progress;
  private final Thread thread = new Thread(this::follow, "progress");
  private volatile boolean closed;

  /** A thread that is not started yet. */
  public ProgressThread(KafkaSettings settings, Progress progress) {
    this.settings = settings;
    this.progress = progress;
    thread.setDaemon(true);
  }

  /** Starts at the topic's current end. */
  public void start() {
    thread.start();
  }

  private void follow() {
    try (RecordReader<TrainingMetrics> reader =
        RecordReader.fromLatest(settings, Topic.TRAINING_METRICS)) {
      while (!closed) {
        reader.next(POLL).ifPresent(this::print);
      }
      reader.readToEnd(this::print);
    } catch (IOException e) {
      LOG.warn("cannot read training-metrics; the progress of jobs is not shown", e);
    }
  }

  private void print(RecordReader.Entry<TrainingMetrics> entry) {
    entry.record().ifPresent(progress::metrics);
  }

  @Override
  public void close() {
    closed = true;
    try {
      thread.join(Duration.ofSeconds(5));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
