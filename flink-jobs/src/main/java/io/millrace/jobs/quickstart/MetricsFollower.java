package io.millrace.jobs.quickstart;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The latest figures of every job, from the topic training-metrics. */
final class MetricsFollower implements AutoCloseable {

  private final RecordReader<TrainingMetrics> reader;
  private final Map<String, TrainingMetrics> latest = new HashMap<>();

  MetricsFollower(KafkaSettings kafka) throws IOException {
    this.reader = RecordReader.fromEarliest(kafka, Topic.TRAINING_METRICS);
  }

  /** Takes up what has come, waiting a little for the first. */
  void poll() throws IOException {
    Optional<RecordReader.Entry<TrainingMetrics>> next = reader.next(Duration.ofMillis(50));
    while (next.isPresent()) {
      TrainingMetrics metrics = next.get().record().orElseThrow();
      latest.put(metrics.getJob(), metrics);
      next = reader.next(Duration.ZERO);
    }
  }

  Optional<TrainingMetrics> latest(String job) {
    return Optional.ofNullable(latest.get(job));
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
