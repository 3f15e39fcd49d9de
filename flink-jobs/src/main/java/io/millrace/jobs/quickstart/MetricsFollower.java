package io.millrace.jobs.quickstart;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The figures of every job, from the topic training-metrics. */
final class MetricsFollower implements AutoCloseable {

  private final RecordReader<TrainingMetrics> reader;
  private final Map<String, List<TrainingMetrics>> byJob = new HashMap<>();

  MetricsFollower(KafkaSettings kafka) throws IOException {
    this.reader = RecordReader.fromEarliest(kafka, Topic.TRAINING_METRICS);
  }

  /** Takes up what has come, waiting a little for the first. */
  void poll() throws IOException {
    Optional<RecordReader.Entry<TrainingMetrics>> next = reader.next(Duration.ofMillis(50));
    while (next.isPresent()) {
      TrainingMetrics metrics = next.get().record().orElseThrow();
      byJob.computeIfAbsent(metrics.getJob(), job -> new ArrayList<>()).add(metrics);
      next = reader.next(Duration.ZERO);
    }
  }

  Optional<TrainingMetrics> latest(String job) {
    List<TrainingMetrics> all = history(job);
    return all.isEmpty() ? Optional.empty() : Optional.of(all.getLast());
  }

  /** A job's figures in the order in which they came. */
  List<TrainingMetrics> history(String job) {
    return byJob.getOrDefault(job, List.of());
  }

  /** A figure of several jobs, added up. */
  long sumOf(String figure, List<String> jobs) {
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
