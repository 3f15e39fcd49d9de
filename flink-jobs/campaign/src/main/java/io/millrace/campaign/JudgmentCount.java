package io.millrace.campaign;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.time.Duration;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Counts the judgments in their topic, each id once. For one thread. */
final class JudgmentCount implements AutoCloseable {

  private static final Duration PAUSE = Duration.ofMillis(20);

  private final RecordReader<Judgment> reader;
  private final long policyVersion;
  private final Set<String> ids = new HashSet<>();
  private final Map<Objective, Long> all = new EnumMap<>(Objective.class);
  private final Map<Objective, Long> ofPolicy = new EnumMap<>(Objective.class);

  /**
   * A count of all current judgments, and of the judgments of one policy's samples.
   *
   * @param policyVersion the policy's version
   */
  JudgmentCount(KafkaSettings kafka, long policyVersion) throws IOException {
    this.reader = RecordReader.fromEarliest(kafka, Topic.JUDGMENTS);
    this.policyVersion = policyVersion;
    catchUp();
  }

  /** Counts all judgments up to the topic's current end. */
  void catchUp() throws IOException {
    reader.readToEnd(entry -> entry.record().ifPresent(this::add));
  }

  /** Counts the judgments that have come, and waits a little for the first of them. */
  void poll() throws IOException {
    Optional<RecordReader.Entry<Judgment>> next = reader.next(PAUSE);
    while (next.isPresent()) {
      next.get().record().ifPresent(this::add);
      next = reader.next(Duration.ZERO);
    }
  }

  private void add(Judgment judgment) {
    if (ids.add(judgment.getJudgmentId())) {
      all.merge(judgment.getObjective(), 1L, Long::sum);
      if (isOfPolicy(judgment.getResponseA()) || isOfPolicy(judgment.getResponseB())) {
        ofPolicy.merge(judgment.getObjective(), 1L, Long::sum);
      }
    }
  }

  private boolean isOfPolicy(JudgedResponse response) {
    Long sampledBy = response.getPolicyVersion();
    return sampledBy != null && sampledBy == policyVersion;
  }

  /** Judgments on an objective. */
  long all(Objective objective) {
    return all.getOrDefault(objective, 0L);
  }

  /** Judgments of the policy's samples on an objective. */
  long ofPolicy(Objective objective) {
    return ofPolicy.getOrDefault(objective, 0L);
  }

  /** Judgments of the policy's samples, on all objectives. */
  long ofPolicy() {
    return ofPolicy.values().stream().mapToLong(Long::longValue).sum();
  }

  @Override
  public void close() {
    reader.close();
  }
}
