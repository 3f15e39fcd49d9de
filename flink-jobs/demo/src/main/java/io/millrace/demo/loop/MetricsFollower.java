package io.millrace.demo.loop;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** Collects the metrics of every job from the topic training-metrics. */
public final class MetricsFollower implements AutoCloseable {

  private final RecordReader<TrainingMetrics> reader;
  private final Map<String, List<TrainingMetrics>> byJob = new TreeMap<>();
  private final Map<Integer, Long> from;

  /** Collects from the topic's beginning. */
  public MetricsFollower(KafkaSettings kafka) throws IOException {
    this(kafka, Map.of());
  }

  /**
   * Collects from given offsets.
   *
   * @param from the first offset of each partition; a partition without one is read from 0
   */
  public MetricsFollower(KafkaSettings kafka, Map<Integer, Long> from) throws IOException {
    this.reader = RecordReader.fromEarliest(kafka, Topic.TRAINING_METRICS);
    this.from = Map.copyOf(from);
  }

  /** Collects the metrics that have come, and waits a little for the first of them. */
  public void poll() throws IOException {
    Optional<RecordReader.Entry<TrainingMetrics>> next = reader.next(Duration.ofMillis(50));
    while (next.isPresent()) {
      take(next.get());
      next = reader.next(Duration.ZERO);
    }
  }

  /** Collects all metrics up to the topic's current end. */
  public void readToEnd() throws IOException {
    reader.readToEnd(this::take);
  }

  private void take(RecordReader.Entry<TrainingMetrics> entry) {
    if (entry.offset() >= from.getOrDefault(entry.partition(), 0L)) {
      entry
          .record()
          .ifPresent(
              metrics ->
                  byJob.computeIfAbsent(metrics.getJob(), job -> new ArrayList<>()).add(metrics));
    }
  }

  /** The metrics of all jobs, job by job, each job's in the order of their arrival. */
  public List<TrainingMetrics> all() {
    return byJob.values().stream().flatMap(List::stream).toList();
  }

  /** A job's newest metrics. */
  public Optional<TrainingMetrics> latest(String job) {
    List<TrainingMetrics> all = history(job);
    return all.isEmpty() ? Optional.empty() : Optional.of(all.getLast());
  }

  /** A job's metrics in the order of their arrival. */
  public List<TrainingMetrics> history(String job) {
    return byJob.getOrDefault(job, List.of());
  }

  /** The sum of a metric over the newest metrics of several jobs. */
  public long sumOf(String metric, List<String> jobs) {
    long sum = 0;
    for (String job : jobs) {
      sum +=
          latest(job)
              .map(metrics -> metrics.getMetrics().getOrDefault(metric, 0.0).longValue())
              .orElse(0L);
    }
    return sum;
  }

  @Override
  public void close() {
    reader.close();
  }
}
