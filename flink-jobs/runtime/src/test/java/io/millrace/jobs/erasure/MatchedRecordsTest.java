package io.millrace.jobs.erasure;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.FinishReason;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Label;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rating;
import io.millrace.schemas.Role;
import io.millrace.schemas.Rollout;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import io.millrace.schemas.Withdrawal;
import io.millrace.schemas.WithdrawnBy;
import io.millrace.schemas.wire.JsonLines;
import io.millrace.schemas.wire.SingleObject;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.junit.jupiter.api.Test;

class MatchedRecordsTest {

  private static final KafkaSettings KAFKA =
      new KafkaSettings("localhost:1", "m.", Map.of(), 1 << 20);
  private static final Instant TIME = Instant.ofEpochMilli(1_700_000_000_000L);
  private static final List<Turn> DIALOGUE = List.of(new Turn(Role.USER, "What is far away?"));

  private static MatchedRecords matched(WithdrawnBy by, String name) {
    return new MatchedRecords(
        KAFKA,
        Withdrawal.newBuilder()
            .setWithdrawalId("w")
            .setBy(by)
            .setName(name)
            .setTime(TIME.plusSeconds(1))
            .build());
  }

  @SuppressWarnings("unchecked")
  private static <T extends SpecificRecordBase> boolean matches(
      MatchedRecords matched, Topic<T> topic, T record) {
    return matched.matches(
        topic,
        new ConsumerRecord<>(
            KAFKA.nameOf(topic),
            0,
            3,
            topic.keyBytes(record),
            SingleObject.of((Class<T>) record.getClass()).encode(record)));
  }

  private static JudgedResponse response(String rollout) {
    return JudgedResponse.newBuilder().setText("The moon is.").setRolloutId(rollout).build();
  }

  private static Feedback feedback(String annotator, String rollout) {
    return Feedback.newBuilder()
        .setFeedbackId("f1")
        .setDialogue(DIALOGUE)
        .setResponse(response(rollout))
        .setLabel(Label.UP)
        .setAnnotator(annotator)
        .setTime(TIME)
        .build();
  }

  private static Judgment judgment(String annotator) {
    return Judgment.newBuilder()
        .setJudgmentId("j1")
        .setObjective(Objective.HELPFULNESS)
        .setDialogue(DIALOGUE)
        .setResponseA(response(null))
        .setResponseB(response(null))
        .setPreferred(Preferred.A)
        .setRating(Rating.BETTER)
        .setAnnotator(annotator)
        .setTime(TIME)
        .build();
  }

  private static Prompt prompt(String source) {
    return Prompt.newBuilder()
        .setPromptId("p1")
        .setDialogue(DIALOGUE)
        .setIsSafety(false)
        .setSource(source)
        .setTime(TIME)
        .build();
  }

  private static Rollout rollout() {
    return Rollout.newBuilder()
        .setRolloutId("p1/0")
        .setPromptId("p1")
        .setDialogue(DIALOGUE)
        .setIsSafety(false)
        .setPromptTokens(List.of(1))
        .setResponseTokens(List.of(2))
        .setLogProbs(List.of(-1f))
        .setResponseText("The sun.")
        .setFinishReason(FinishReason.STOP)
        .setModel("policy")
        .setPolicyVersion(1)
        .setTemperature(1)
        .setTopP(1)
        .setSeed(1)
        .setSource("another")
        .setTime(TIME)
        .build();
  }

  /** JSON may write a name so that the bytes do not hold it. */
  @Test
  void recordsOfEveryFormatAreDecoded() {
    MatchedRecords matched = matched(WithdrawnBy.ANNOTATOR, "Zoë");
    byte[] json =
        JsonLines.write(judgment("Zoë")).replace("ë", "\\u00eb").getBytes(StandardCharsets.UTF_8);
    ConsumerRecord<byte[], byte[]> record =
        new ConsumerRecord<>(KAFKA.nameOf(Topic.JUDGMENTS), 0, 3, null, json);
    assertTrue(matched.matches(Topic.JUDGMENTS, record));
    assertEquals(0, matched.undecoded());
    assertFalse(matched(WithdrawnBy.ANNOTATOR, "Zoe").matches(Topic.JUDGMENTS, record));
  }

  @Test
  void everyTopicWithPeoplesRecordsIsRead() {
    for (Topic<?> topic : Topic.all()) {
      boolean ofPeople =
          List.of(Prompt.class, Rollout.class, Demonstration.class, Judgment.class, Feedback.class)
              .contains(topic.type());
      assertTrue(!ofPeople || MatchedRecords.TOPICS.contains(topic), topic + " is never searched");
    }
  }

  @Test
  void anAnnotatorsJudgmentsAndFeedbackMatch() {
    MatchedRecords matched = matched(WithdrawnBy.ANNOTATOR, "anna");
    assertTrue(matches(matched, Topic.JUDGMENTS, judgment("anna")));
    assertTrue(matches(matched, Topic.FEEDBACK, feedback("anna", null)));
    assertFalse(matches(matched, Topic.FEEDBACK, feedback("bert", null)));
    assertFalse(matches(matched, Topic.PROMPTS, prompt("anna")));
  }

  @Test
  void whatWasMadeFromAPromptGoesWithIt() {
    MatchedRecords matched = matched(WithdrawnBy.SOURCE, "web");
    assertTrue(matches(matched, Topic.PROMPTS, prompt("web")));
    assertTrue(matches(matched, Topic.ROLLOUTS, rollout()));
    assertTrue(matches(matched, Topic.FEEDBACK, feedback("bert", "p1/0")));
    assertFalse(matches(matched, Topic.FEEDBACK, feedback("bert", "p2/0")));
  }

  @Test
  void aValueThatIsNoRecordMatchesByItsBytes() {
    MatchedRecords matched = matched(WithdrawnBy.ANNOTATOR, "anna");
    byte[] broken = "{\"annotator\":\"anna\",".getBytes(StandardCharsets.UTF_8);
    assertTrue(
        matched.matches(
            Topic.JUDGMENTS, new ConsumerRecord<>("m.judgments", 0, 0, new byte[0], broken)));
    assertEquals(
        false,
        matched.matches(
            Topic.JUDGMENTS, new ConsumerRecord<>("m.judgments", 0, 1, new byte[0], new byte[9])));
  }
}
