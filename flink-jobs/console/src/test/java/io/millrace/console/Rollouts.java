package io.millrace.console;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.Role;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.apache.avro.specific.SpecificRecordBase;

/** Topics in tests. */
final class Rollouts {

  private Rollouts() {}

  static Rollout rollout(String prompt, int sample, String question, String text, long version) {
    return Rollout.newBuilder()
        .setRolloutId(prompt + "/" + sample)
        .setPromptId(prompt)
        .setDialogue(List.of(new Turn(Role.USER, question)))
        .setPromptTokens(List.of(1))
        .setResponseTokens(List.of(2))
        .setLogProbs(List.of(-1f))
        .setResponseText(text)
        .setFinishReason(FinishReason.STOP)
        .setModel("policy")
        .setPolicyVersion(version)
        .setTemperature(1)
        .setTime(Instant.now())
        .build();
  }

  /** Sends pairs of responses to prompts of their own. */
  static void sendPairs(KafkaSettings kafka, String name, int count) throws IOException {
    try (RecordWriter writer = new RecordWriter(kafka)) {
      for (int i = 0; i < count; i++) {
        String prompt = name + i;
        writer.send(Topic.ROLLOUTS, rollout(prompt, 0, "What is " + prompt + "?", "A " + i, 3));
        writer.send(Topic.ROLLOUTS, rollout(prompt, 1, "What is " + prompt + "?", "B " + i, 4));
      }
    }
  }

  static <T extends SpecificRecordBase> List<T> read(KafkaSettings kafka, Topic<T> topic)
      throws IOException {
    List<T> records = new ArrayList<>();
    try (RecordReader<T> reader = RecordReader.fromEarliest(kafka, topic)) {
      long _ = reader.readToEnd(entry -> records.add(entry.record().orElseThrow()));
    }
    return records;
  }
}
