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

/** The figures of every job, from the topic training-metrics. */
public final class MetricsFollower implements AutoCloseable {

  private final RecordReader<TrainingMetrics> reader;
  private final Map<String, List<TrainingMetrics>> byJob = new TreeMap<>();
  private final Map<Integer, Long> from;

  /** All figures that the topic holds and will hold. */
  public MetricsFollower(KafkaSettings kafka) throws IOException {
    this(kafka, Map.of());
  }

  /**
   * The figures from some offsets on.
   *
   * @param from the first offset of interest, by partition
   */
  public MetricsFollower(KafkaSettings kafka, Map<Integer, Long> from) throws IOException {
    this.reader = RecordReader.fromEarliest(kafka, Topic.TRAINING_METRICS);
    this.from = Map.copyOf(from);
  }

  /** Takes up what has come, waiting a little for the first. */
  public void poll() throws IOException {
    Optional<RecordReader.Entry<TrainingMetrics>> next = reader.next(Duration.ofMillis(50));
    while (next.isPresent()) {
      take(next.get());
      next = reader.next(Duration.ZERO);
    }
  }

  /** Takes up all that the topic holds now. */
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

  /** Figures of all jobs, each job's in the order in which they came. */
  public List<TrainingMetrics> all() {
    return byJob.values().stream().flatMap(List::stream).toList();
  }

  /** A job's newest figures. */
  public Optional<TrainingMetrics> latest(String job) {
    List<TrainingMetrics> all = history(job);
    return all.isEmpty() ? Optional.empty() : Optional.of(all.getLast());
  }

  /** A job's figures in the order in which they came. */
  public List<TrainingMetrics> history(String job) {
    return byJob.getOrDefault(job, List.of());
  }

  /** A figure of several jobs, added up. */
  public long sumOf(String figure, List<String> jobs) {
    long sum = 0;
    for (String job : jobs) {
      sum +=
          latest(job)
              .map(metrics -> metrics.getMetrics().getOrDefault(figure, 0.0).longValue())
              .orElse(0L);
    }
    return sum;
  }

  @Override
  public void close() {
    reader.close();
  }
}
