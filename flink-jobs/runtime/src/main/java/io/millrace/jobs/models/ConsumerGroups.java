package io.millrace.jobs.models;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.util.Map;
import java.util.OptionalLong;
import java.util.TreeMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Consumer groups of the jobs. Flink commits offsets for monitoring, and not before a job has read
 * a record.
 */
public final class ConsumerGroups {

  private static final Logger LOG = LoggerFactory.getLogger(ConsumerGroups.class);

  private final KafkaSettings kafka;

  ConsumerGroups(KafkaSettings kafka) {
    this.kafka = kafka;
  }

  private String group(String job) {
    return kafka.topicPrefix() + job;
  }

  /**
   * Offsets that a job has not read yet, as of its last Flink checkpoint: records, and a few
   * transaction markers. Empty if the job never read the topic.
   */
  public OptionalLong lag(String job, Topic<?> topic) throws IOException {
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      Map<Integer, Long> positions = admin.groupPositions(group(job), topic);
      if (positions.isEmpty()) {
        return OptionalLong.empty();
      }
      long lag = 0;
      for (Map.Entry<Integer, Long> end :
          admin.describe(topic).map(TopicAdmin.State::endOffsets).orElse(Map.of()).entrySet()) {
        lag += Math.max(0, end.getValue() - positions.getOrDefault(end.getKey(), 0L));
      }
      return OptionalLong.of(lag);
    }
  }

  /**
   * Gives a job that starts to read a topic an offset in each partition where it has none. Where
   * that is not possible, such as for want of rights, the log says so and the job goes on.
   */
  public void register(String job, Topic<?> topic) {
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      Map<Integer, Long> missing =
          new TreeMap<>(admin.describe(topic).map(TopicAdmin.State::beginOffsets).orElse(Map.of()));
      missing.keySet().removeAll(admin.groupPositions(group(job), topic).keySet());
      if (!missing.isEmpty()) {
        admin.moveGroup(group(job), topic, missing);
      }
    } catch (IOException e) {
      LOG.warn(
          "Consumer group {} has no offsets yet, and none could be set; until its first record is"
              + " read, other jobs do not know of it: {}",
          group(job),
          e.getMessage());
    }
  }
}
