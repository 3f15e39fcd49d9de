package io.millrace.connectors.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.millrace.connectors.TestRecords;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Rating;
import io.millrace.schemas.Role;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.formats.avro.typeutils.AvroTypeInfo;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.operators.KeyedProcessOperator;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.junit.jupiter.api.Test;

@SuppressWarnings("try") // Flink's harness may throw InterruptedException from close().
class DeduplicateTest {

  private static final Duration WINDOW = Duration.ofMillis(100);

  private static KeyedOneInputStreamOperatorTestHarness<String, Prompt, Prompt> harness()
      throws Exception {
    return new KeyedOneInputStreamOperatorTestHarness<>(
        new KeyedProcessOperator<>(new Deduplicate<>(Topic.PROMPTS, WINDOW)),
        Topic.PROMPTS::keyOf,
        Types.STRING);
  }

  private static List<String> ids(
      KeyedOneInputStreamOperatorTestHarness<String, Prompt, Prompt> harness) {
    return harness.extractOutputValues().stream().map(Prompt::getPromptId).toList();
  }

  private static long dropped(
      KeyedOneInputStreamOperatorTestHarness<String, Prompt, Prompt> harness) {
    return (long)
        harness
            .getEnvironment()
            .getAccumulatorRegistry()
            .getUserMap()
            .get("topics/prompts/duplicates")
            .getLocalValue();
  }

  @Test
  void dropsRepetitionsWithinTheWindowAndKeepsTheOrder() throws Exception {
    try (var harness = harness()) {
      harness.open();
      harness.processElement(TestRecords.prompt("b"), 0);
      harness.processElement(TestRecords.prompt("a"), 10);
      harness.processElement(TestRecords.prompt("b"), 20);
      harness.processElement(TestRecords.prompt("c"), 30);
      harness.processElement(TestRecords.prompt("b"), 100);
      harness.processElement(TestRecords.prompt("a"), 5); // Out of order, from another partition.
      assertEquals(List.of("b", "a", "c"), ids(harness));
      assertEquals(3, dropped(harness));
      harness.processElement(TestRecords.prompt("b"), 101);
      assertEquals(List.of("b", "a", "c", "b"), ids(harness));
    }
  }

  @Test
  void forgetsAnIdWhenTheWatermarkHasPassedItsWindow() throws Exception {
    try (var harness = harness()) {
      harness.open();
      harness.processElement(TestRecords.prompt("a"), 0);
      harness.processElement(TestRecords.prompt("b"), 50);
      assertEquals(2, harness.numKeyedStateEntries());
      harness.processWatermark(100);
      assertEquals(2, harness.numKeyedStateEntries(), "a record of time 100 is still a duplicate");
      harness.processWatermark(101);
      assertEquals(1, harness.numKeyedStateEntries());
      harness.processWatermark(1000);
      assertEquals(0, harness.numKeyedStateEntries());
      assertEquals(0, harness.numEventTimeTimers());
    }
  }

  @Test
  void aLaterAcceptedRecordOpensAWindowOfItsOwn() throws Exception {
    try (var harness = harness()) {
      harness.open();
      harness.processElement(TestRecords.prompt("a"), 0);
      harness.processElement(TestRecords.prompt("a"), 150); // Before the first window's timer.
      harness.processWatermark(151);
      harness.processElement(TestRecords.prompt("a"), 250);
      assertEquals(1, dropped(harness));
      assertEquals(2, ids(harness).size());
    }
  }

  @Test
  void remembersIdsAcrossARestoreAfterALongStandstill() throws Exception {
    OperatorSubtaskState state;
    try (var harness = harness()) {
      harness.setProcessingTime(0);
      harness.open();
      harness.processElement(TestRecords.prompt("a"), 0);
      harness.processElement(TestRecords.prompt("a"), 1);
      state = harness.snapshot(1, 1);
    }
    try (var harness = harness()) {
      harness.initializeState(state);
      harness.setProcessingTime(Duration.ofDays(30).toMillis());
      harness.open();
      harness.processElement(TestRecords.prompt("a"), 90);
      harness.processElement(TestRecords.prompt("b"), 90);
      assertEquals(List.of("b"), ids(harness));
      assertEquals(2, dropped(harness), "counted since the job began, not since its last start");
      harness.processWatermark(101);
      assertEquals(1, harness.numKeyedStateEntries());
    }
  }

  private static Judgment judgment(String id, Integer revision) {
    return Judgment.newBuilder()
        .setJudgmentId(id)
        .setObjective(Objective.HELPFULNESS)
        .setDialogue(List.of(new Turn(Role.USER, "Hi")))
        .setResponseA(JudgedResponse.newBuilder().setText("a").build())
        .setResponseB(JudgedResponse.newBuilder().setText("b").build())
        .setPreferred(Preferred.A)
        .setRating(Rating.BETTER)
        .setRevision(revision)
        .build();
  }

  private static KeyedOneInputStreamOperatorTestHarness<String, Judgment, Judgment> judgments()
      throws Exception {
    return new KeyedOneInputStreamOperatorTestHarness<>(
        new KeyedProcessOperator<>(new Deduplicate<>(Topic.JUDGMENTS, WINDOW)),
        Judgment::getJudgmentId,
        Types.STRING);
  }

  private static List<Integer> revisions(
      KeyedOneInputStreamOperatorTestHarness<String, Judgment, Judgment> harness) {
    return harness.extractOutputValues().stream().map(Judgment::getRevision).toList();
  }

  @Test
  void aHigherRevisionIsNoDuplicateAndTheOthersAre() throws Exception {
    OperatorSubtaskState state;
    try (var harness = judgments()) {
      harness.open();
      harness.processElement(judgment("j", null), 0);
      harness.processElement(judgment("j", 0), 1);
      harness.processElement(judgment("j", 2), 2);
      harness.processElement(judgment("j", 1), 3);
      harness.processElement(judgment("j", 2), 4);
      List<Integer> expected = new ArrayList<>();
      expected.add(null);
      expected.add(2);
      assertEquals(expected, revisions(harness));
      state = harness.snapshot(1, 1);
    }
    try (var harness = judgments()) {
      harness.initializeState(state);
      harness.open();
      harness.processElement(judgment("j", 2), 5);
      harness.processElement(judgment("j", 3), 6);
      assertEquals(List.of(3), revisions(harness));
      harness.processWatermark(1000);
      assertEquals(0, harness.numKeyedStateEntries());
    }
  }

  @Test
  void aWindowOfZeroTurnsItOff() {
    StreamExecutionEnvironment env = StreamExecutionEnvironment.createLocalEnvironment(1);
    DataStream<Prompt> prompts =
        env.fromData(new AvroTypeInfo<>(Prompt.class), TestRecords.prompt("a"));
    assertSame(prompts, Deduplicate.of(prompts, Topic.PROMPTS, Duration.ZERO, 1));
    assertThrows(
        IllegalArgumentException.class,
        () -> Deduplicate.of(prompts, Topic.PROMPTS, Duration.ofMillis(-1), 1));
  }
}
