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
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** What Kafka knows of a job: versions and lag. */
final class KafkaStatus {

  private final String model;
  private final KafkaSettings kafka;
  private final Clock clock;

  KafkaStatus(Map<String, String> parameters, KafkaSettings settings, Clock clock) {
    this.model = parameters.get(JobParameters.MODEL);
    this.kafka =
        settings.at(
            parameters.get(JobParameters.BOOTSTRAP_SERVERS),
            parameters.get(JobParameters.TOPIC_PREFIX));
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
    Optional<Promotion> verdict = lastVerdict();
    versions.put("promoted", verdict.map(Promotion::getVersion).orElse(0L));
    versions.put("best", verdict.map(Promotion::getBest).orElse(0L));
    for (boolean judge : new boolean[] {false, true}) {
      for (Objective objective : Objective.values()) {
        versions.put(
            (judge ? "judge_" : "reward_model_") + objective.name().toLowerCase(Locale.ROOT),
            Announcements.latestVersion(
                kafka, Topic.REWARD_CHECKPOINTS, Topic.key(objective, judge)));
      }
    }
    verdict.ifPresent(
        last -> {
          ObjectNode node = job.putObject("verdict");
          node.put("evaluated", last.getEvaluated());
          node.put("verdict", last.getVerdict().name());
          node.put("by", last.getDecidedBy().isEmpty() ? last.getJudge() : last.getDecidedBy());
          last.getReasons().forEach(node.withArray("reasons")::add);
        });
  }

  private Optional<Promotion> lastVerdict() throws IOException {
    Promotion[] last = new Promotion[1];
    try (RecordReader<Promotion> reader = RecordReader.fromEarliest(kafka, Topic.PROMOTIONS)) {
      reader.readToEnd(
          entry ->
              entry
                  .record()
                  .filter(promotion -> promotion.getModel().equals(model))
                  .ifPresent(promotion -> last[0] = promotion));
    }
    return Optional.ofNullable(last[0]);
  }
}
