package io.millrace.cli.status;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.connectors.checkpoint.Announcements;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.connectors.kafka.TopicLag;
import io.millrace.jobs.runtime.JobParameters;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Promotion;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.time.Clock;
import java.time.Duration;
import java.util.Map;

/** What Kafka knows of a job: versions and lag. */
final class KafkaStatus {

  private final String model;
  private final KafkaSettings kafka;
  private final Clock clock;

  KafkaStatus(Map<String, String> parameters, Map<String, String> properties, Clock clock) {
    this.model = parameters.get(JobParameters.MODEL);
    this.kafka =
        new KafkaSettings(
            parameters.get(JobParameters.BOOTSTRAP_SERVERS),
            parameters.get(JobParameters.TOPIC_PREFIX),
            properties);
    this.clock = clock;
  }

  void addTo(ObjectNode job, String group) throws IOException {
    ObjectNode lag = job.putObject("lag");
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      for (Topic<?> topic : Topic.all()) {
        Map<Integer, Long> positions = admin.groupPositions(group, topic);
        if (!positions.isEmpty()) {
          TopicLag found = TopicLag.of(kafka, topic, positions);
          ObjectNode node = lag.putObject(topic.name());
          node.put("records", found.records());
          node.put(
              "seconds",
              found
                  .oldest()
                  .map(time -> Duration.between(time, clock.instant()).toMillis() / 1000.0)
                  .orElse(0.0));
        }
      }
    }
    ObjectNode versions = job.putObject("versions");
    versions.put("policy", Announcements.latestVersion(kafka, Topic.POLICY_CHECKPOINTS, model));
    versions.put("promoted", promoted());
    for (Objective objective : Objective.values()) {
      versions.put(
          "reward_model_" + objective.name().toLowerCase(java.util.Locale.ROOT),
          Announcements.latestVersion(kafka, Topic.REWARD_CHECKPOINTS, objective.name()));
    }
  }

  private long promoted() throws IOException {
    long[] last = new long[1];
    try (RecordReader<Promotion> reader = RecordReader.fromEarliest(kafka, Topic.PROMOTIONS)) {
      reader.readToEnd(
          entry ->
              entry
                  .record()
                  .filter(promotion -> promotion.getModel().equals(model))
                  .ifPresent(promotion -> last[0] = promotion.getVersion()));
    }
    return last[0];
  }
}
