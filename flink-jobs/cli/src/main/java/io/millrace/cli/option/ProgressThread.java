package io.millrace.cli.option;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Tells on the terminal how a job gets on, from what it writes to training-metrics. */
public final class ProgressPrinter implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(ProgressPrinter.class);

  private static final Duration POLL = Duration.ofMillis(200);
  private static final long SECOND = 1_000_000_000;

  private final KafkaSettings settings;
  private final Map<String, Long> printed = new HashMap<>();
  private final Thread thread = new Thread(this::follow, "progress");
  private volatile boolean closed;

  public ProgressPrinter(KafkaSettings settings) {
    this.settings = settings;
    thread.setDaemon(true);
  }

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
      LOG.warn("no progress to show", e);
    }
  }

  /** One line a job and second is enough. */
  private void print(RecordReader.Entry<TrainingMetrics> entry) {
    TrainingMetrics metrics = entry.record().orElse(null);
    if (metrics == null) {
      return;
    }
    long now = System.nanoTime();
    Long last = printed.get(metrics.getJob());
    if (last == null || now - last > SECOND) {
      printed.put(metrics.getJob(), now);
      System.err.println(line(metrics));
    }
  }

  private static String line(TrainingMetrics metrics) {
    Map<String, Double> figures = metrics.getMetrics();
    return metrics.getJob()
        + " step "
        + metrics.getStep()
        + figures.entrySet().stream()
            .filter(figure -> !isOfADiagram(figure.getKey()))
            .sorted(Map.Entry.comparingByKey())
            .map(
                figure ->
                    String.format(Locale.ROOT, " %s %.4g", figure.getKey(), figure.getValue()))
            .collect(Collectors.joining(","));
  }

  /** Dozens of figures that a person reads as a diagram or not at all. */
  private static boolean isOfADiagram(String figure) {
    return figure.startsWith("calibration/bin")
        || (figure.startsWith("rejection/") && figure.contains("/k="));
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
