package io.millrace.connectors.exchange.format;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.schemas.Topic;
import io.millrace.schemas.wire.JsonLines;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.avro.specific.SpecificRecordBase;

/** Millrace's own records, as {@code export} and {@code consume} write them. */
final class Native implements Format {
  /** Topics by the field that only their records have, the most particular first. */
  private static final Map<String, Topic<?>> TOPICS = topics();

  private static Map<String, Topic<?>> topics() {
    Map<String, Topic<?>> topics = new LinkedHashMap<>();
    topics.put("judgmentId", Topic.JUDGMENTS);
    topics.put("feedbackId", Topic.FEEDBACK);
    topics.put("rolloutId", Topic.ROLLOUTS);
    topics.put("promptId", Topic.PROMPTS);
    topics.put("id", Topic.DEMONSTRATIONS);
    return topics;
  }

  @Override
  public String name() {
    return "millrace";
  }

  @Override
  public String fields() {
    return "dialogue, and the id of a judgment, feedback, rollout, prompt or demonstration";
  }

  @Override
  public boolean matches(JsonNode row) {
    return row.has("dialogue") && TOPICS.keySet().stream().anyMatch(row::has);
  }

  @Override
  public void read(JsonNode row, Settings settings, Output output) {
    Topic<?> topic =
        TOPICS.entrySet().stream()
            .filter(entry -> row.has(entry.getKey()))
            .map(Map.Entry::getValue)
            .findFirst()
            .orElseThrow(() -> Fields.invalid("no field is an id; see docs/topics.md"));
    add(topic, row, output);
  }

  private static <T extends SpecificRecordBase> void add(
      Topic<T> topic, JsonNode row, Output output) {
    output.add(topic, JsonLines.read(topic.type(), row.toString()));
  }
}
