package io.millrace.console.watch;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.connectors.kafka.TopicLag;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.KafkaException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** How far the jobs' consumer groups are behind. Measured on request, at most every ten seconds. */
final class Lags {

  private static final Logger LOG = LoggerFactory.getLogger(Lags.class);
  private static final Duration EVERY = Duration.ofSeconds(10);

  private final KafkaSettings kafka;
  private final List<String> groups;
  private ArrayNode last = JsonNodeFactory.instance.arrayNode();
  private long measured;
  private boolean isMeasured;

  Lags(KafkaSettings kafka, List<String> groups) {
    this.kafka = kafka;
    this.groups = groups;
  }

  synchronized ArrayNode get() {
    if (!isMeasured || System.nanoTime() - measured > EVERY.toNanos()) {
      isMeasured = true;
      try {
        last = measure();
      } catch (IOException | KafkaException e) {
        LOG.warn("The lag of the jobs is not known: {}", e.getMessage());
      }
      measured = System.nanoTime();
    }
    return last.deepCopy();
  }

  private ArrayNode measure() throws IOException {
    ArrayNode lags = JsonNodeFactory.instance.arrayNode();
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      for (String group : groups) {
        for (Topic<?> topic : Topic.all()) {
          Map<Integer, Long> positions = admin.groupPositions(group, topic);
          if (!positions.isEmpty()) {
            lags.addObject()
                .put("group", group)
                .put("topic", topic.name())
                .put("records", TopicLag.of(kafka, topic, positions).records());
          }
        }
      }
    }
    return lags;
  }
}
