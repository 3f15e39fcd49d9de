package io.millrace.jobs.cli;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.schemas.TrainingMetrics;
import io.millrace.schemas.wire.WireFormatException;
import java.io.IOException;
import java.io.PrintStream;
import java.time.Duration;
import java.time.Instant;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Tells on the terminal how a job gets on, from what it writes to training-metrics. */
final class ProgressPrinter implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(ProgressPrinter.class);

  private final KafkaSettings settings;
  private final PrintStream out;
  private final Instant since = Instant.now();
  private final Thread thread = new Thread(this::follow, "progress");
  private volatile boolean closed;

  ProgressPrinter(KafkaSettings settings, PrintStream out) {
    this.settings = settings;
    this.out = out;
    thread.setDaemon(true);
  }

  void start() {
    thread.start();
  }

  private void follow() {
    try (RecordReader<TrainingMetrics> reader =
        new RecordReader<>(settings, TrainingMetrics.class)) {
      while (!closed) {
        print(reader);
      }
      print(reader);
    } catch (IOException e) {
      LOG.warn("no progress to show", e);
    }
  }

  private void print(RecordReader<TrainingMetrics> reader) throws IOException {
    TrainingMetrics last = null;
    for (RecordReader.Entry entry : reader.poll(Duration.ofMillis(300))) {
      try {
        TrainingMetrics metrics = reader.decode(entry);
        if (metrics.getTime().isAfter(since)) {
          last = metrics;
        }
      } catch (WireFormatException e) {
        LOG.debug("a record that is no metrics", e);
      }
    }
    if (last != null) {
      out.println(line(last));
    }
  }

  private static String line(TrainingMetrics metrics) {
    Map<String, Double> figures = metrics.getMetrics();
    return metrics.getJob()
        + " step "
        + metrics.getStep()
        + figures.entrySet().stream()
            .sorted(Map.Entry.comparingByKey())
            .map(
                figure ->
                    String.format(Locale.ROOT, " %s %.4g", figure.getKey(), figure.getValue()))
            .collect(Collectors.joining(","));
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
