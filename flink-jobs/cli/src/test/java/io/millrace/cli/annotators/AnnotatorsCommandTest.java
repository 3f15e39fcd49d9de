package io.millrace.cli.annotators;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.cli.CommandRun;
import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AnnotatorsCommandTest {

  @TempDir private Path directory;

  private static void put(
      Map<String, Double> metrics, String judge, double judgments, double weight, double bias) {
    metrics.put(judge + "/judgments", judgments);
    metrics.put(judge + "/reliability", (weight + 1) / 2);
    metrics.put(judge + "/weight", weight);
    metrics.put(judge + "/position_bias", bias);
    metrics.put(judge + "/position_error", 0.05);
  }

  private static TrainingMetrics record(String job, long version, Map<String, Double> metrics) {
    return TrainingMetrics.newBuilder()
        .setJob(job)
        .setStep(version)
        .setMetrics(metrics)
        .setTime(Instant.EPOCH)
        .build();
  }

  @Test
  void printsTheNewestVersionOfEachRewardModel() throws Exception {
    try (EmbeddedBroker broker = EmbeddedBroker.start(directory, 0)) {
      KafkaSettings kafka = new KafkaSettings(broker.bootstrapServers(), "a.", Map.of(), 256 << 10);
      try (TopicAdmin admin = new TopicAdmin(kafka)) {
        admin.createAll(1, 1);
      }
      String[] options = {
        "annotators", "--bootstrap-servers", broker.bootstrapServers(), "--topic-prefix", "a."
      };
      CommandRun empty = CommandRun.of(options);
      assertEquals(2, empty.code());
      assertTrue(empty.error().contains("no metrics of annotators"), empty.error());

      Map<String, Double> old = new TreeMap<>();
      put(old, "annotator/gone", 5, 0.5, 0);
      Map<String, Double> metrics = new TreeMap<>();
      put(metrics, "annotator/anna/b", 30, 0.9, 0.01);
      put(metrics, "annotator/evil\u001b[2J", 40, 0, 0.3);
      put(metrics, "source/", 70, 0.5, 0);
      metrics.put("source//held_back", 1.0);
      try (RecordWriter writer = new RecordWriter(kafka)) {
        writer.send(Topic.TRAINING_METRICS, record("reward-model-safety-annotators", 1, old));
        writer.send(Topic.TRAINING_METRICS, record("reward-model-safety-annotators", 2, metrics));
        writer.send(Topic.TRAINING_METRICS, record("ppo", 9, Map.of("loss/policy", 1.0)));
        writer.flush();
      }
      CommandRun text = CommandRun.of(options);
      assertEquals(0, text.code(), text.error());
      List<String> lines = text.out().lines().toList();
      assertEquals(6, lines.size(), text.out());
      assertTrue(lines.get(0).startsWith("reward-model-safety-annotators, version 2, "));
      assertTrue(lines.get(2).contains("evil\\u001b[2J"), text.out());
      assertTrue(lines.get(2).endsWith("worse than guessing, prefers A"), text.out());
      assertTrue(lines.get(3).matches("  anna/b +30 +0.95 +0.90 +\\+0.01 *"), text.out());
      assertTrue(lines.get(5).startsWith("  (none)") && lines.get(5).endsWith("held back"));
      assertFalse(text.out().contains("gone"));

      String[] json = Arrays.copyOf(options, options.length + 1);
      json[options.length] = "--json";
      List<String> objects = CommandRun.of(json).out().lines().toList();
      assertEquals(3, objects.size());
      assertTrue(objects.get(1).contains("\"name\":\"anna/b\""), objects.get(1));
    }
  }
}
