package io.millrace.jobs.rewardmodel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.flink.Streams;
import io.millrace.connectors.flink.source.Sources.Start;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.runtime.EdgeTap;
import io.millrace.jobs.runtime.JobContext;
import io.millrace.jobs.runtime.JobSettings;
import io.millrace.jobs.testkit.Deployment;
import io.millrace.jobs.testkit.JobHarness;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Role;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import io.millrace.schemas.Withdrawal;
import io.millrace.schemas.wire.SingleObject;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.formats.avro.typeutils.AvroTypeInfo;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.graph.StreamGraph;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** The reward model job's input, with every kind of record that can be in the topic. */
class JudgmentInputTest {

  private static final long SEED = 13;
  private static final int RECORDS = 100_000;
  private static final int EACH_KIND = 200;
  private static final int DUPLICATES = 3_000;

  private static final SingleObject<Judgment> CODEC = SingleObject.of(Judgment.class);

  /** What can be wrong with a record, and the reason that its dead letter must give. */
  private enum Corruption {
    /** A tombstone: it withdraws the record of its key. */
    NO_VALUE(""),
    GARBAGE("undecodable"),
    UNKNOWN_SCHEMA("undecodable"),
    CUT_OFF("undecodable"),
    TOO_MANY_BYTES("undecodable"),
    OTHER_TYPE("undecodable"),
    NO_ID("invalid"),
    ROLES_OUT_OF_TURN("invalid"),
    TOO_LONG("too-long"),
    UNKNOWN_SOURCE("unknown-source");

    private final String reason;

    Corruption(String reason) {
      this.reason = reason;
    }

    byte[] value(String id) {
      Judgment judgment = TestJudgments.of(id, Objective.HELPFULNESS, "own");
      byte[] good = CODEC.encode(judgment);
      return switch (this) {
        case NO_VALUE -> null;
        case GARBAGE -> ("garbage " + id).getBytes(StandardCharsets.UTF_8);
        case UNKNOWN_SCHEMA -> {
          good[5] ^= 1; // Within the fingerprint.
          yield good;
        }
        case CUT_OFF -> Arrays.copyOf(good, good.length - 20);
        case TOO_MANY_BYTES -> Arrays.copyOf(good, good.length + 1);
        case OTHER_TYPE ->
            SingleObject.of(Prompt.class)
                .encode(
                    Prompt.newBuilder()
                        .setPromptId(id)
                        .setDialogue(judgment.getDialogue())
                        .build());
        case NO_ID -> {
          judgment.setJudgmentId(" ");
          yield CODEC.encode(judgment);
        }
        case ROLES_OUT_OF_TURN -> {
          judgment.setDialogue(
              List.of(new Turn(Role.USER, "Hello?"), new Turn(Role.USER, "Hello?")));
          yield CODEC.encode(judgment);
        }
        case TOO_LONG -> {
          judgment.setDialogue(List.of(new Turn(Role.USER, "far ".repeat(200))));
          yield CODEC.encode(judgment);
        }
        case UNKNOWN_SOURCE -> {
          judgment.setSource("somewhere");
          yield CODEC.encode(judgment);
        }
      };
    }
  }

  @RegisterExtension
  private static final JobHarness HARNESS =
      new JobHarness(
          4,
          "flink.checkpoint-interval=200ms",
          "flink.restart-delay=1ms",
          "flink.parallelism=2",
          "model.vocab-size=300",
          "model.max-positions=128",
          "reward-model.helpfulness.mixing.own=0.5",
          "reward-model.helpfulness.mixing.open=0.5");

  private record Raw(String key, byte[] value) {}

  /** Passes every record on, but fails once, half-way. */
  private static final class FailOnce implements MapFunction<Judgment, Judgment> {
    private static final long serialVersionUID = 1L;
    private static final AtomicInteger PASSED = new AtomicInteger();

    @Override
    public Judgment map(Judgment judgment) {
      if (PASSED.incrementAndGet() == RECORDS / 2) {
        throw new IllegalStateException("induced failure");
      }
      return judgment;
    }
  }

  @Test
  void everyGoodRecordIsUsedOnceAndEveryBadOneIsADeadLetterWithItsReason() throws Exception {
    Deployment deployment = HARNESS.deploy("in", 2);
    MillraceConfig config = deployment.config();
    KafkaSettings in = deployment.kafka();
    KafkaSettings out = HARNESS.deploy("out", 2).kafka();
    Set<String> good = send(in);

    StreamExecutionEnvironment env =
        StreamExecutionEnvironment.getExecutionEnvironment(JobSettings.flink(config.flink()));
    env.setParallelism(config.flink().parallelism());
    DataStream<Judgment> judgments =
        new JobContext(env, "inputs", config, true, EdgeTap.NONE)
            .readOnce(Topic.JUDGMENTS, Start.EARLIEST, new JudgmentCheck(config), 1)
            .map(new FailOnce())
            .returns(new AvroTypeInfo<>(Judgment.class));
    Streams.write(judgments, out, Topic.JUDGMENTS, "inputs");
    StreamGraph graph = env.getStreamGraph();
    JobExecutionResult result = deployment.run(graph);

    assertTrue(FailOnce.PASSED.get() > good.size(), "the failure never happened");
    List<String> used = new ArrayList<>();
    try (RecordReader<Judgment> reader = RecordReader.fromEarliest(out, Topic.JUDGMENTS)) {
      reader.readToEnd(entry -> used.add(entry.record().orElseThrow().getJudgmentId()));
    }
    assertEquals(good.size(), used.size(), "seed " + SEED);
    assertEquals(good, new HashSet<>(used));
    assertEquals(expectedReasons(), deadLetters(in));
    Set<String> withdrawn = new HashSet<>();
    try (RecordReader<Withdrawal> reader = RecordReader.fromEarliest(in, Topic.WITHDRAWALS)) {
      reader.readToEnd(entry -> withdrawn.add(entry.record().orElseThrow().getName()));
    }
    assertEquals(
        IntStream.range(0, EACH_KIND).mapToObj(i -> "NO_VALUE-" + i).collect(Collectors.toSet()),
        withdrawn);

    Map<String, Object> counts = new TreeMap<>(result.getAllAccumulatorResults());
    counts.values().removeIf(Long.valueOf(0)::equals);
    counts.keySet().removeIf(name -> !name.startsWith("topics/judgments/"));
    Map<String, Object> expected = new TreeMap<>();
    expected.put("topics/judgments/accepted", (long) RECORDS - 10 * EACH_KIND);
    expected.put("topics/judgments/duplicates", (long) DUPLICATES);
    expected.put("topics/judgments/tombstones", (long) EACH_KIND);
    expected.put("topics/judgments/dead-letters/undecodable", 5L * EACH_KIND);
    expected.put("topics/judgments/dead-letters/invalid", 2L * EACH_KIND);
    expected.put("topics/judgments/dead-letters/too-long", (long) EACH_KIND);
    expected.put("topics/judgments/dead-letters/unknown-source", (long) EACH_KIND);
    assertEquals(expected, counts);
  }

  /** Sends all records in random order; returns the ids of the good ones. */
  private static Set<String> send(KafkaSettings settings) throws IOException {
    List<Raw> records = new ArrayList<>();
    Set<String> good = new HashSet<>();
    int unique = RECORDS - DUPLICATES - EACH_KIND * Corruption.values().length;
    for (int i = 0; i < unique; i++) {
      String id = "j" + i;
      good.add(id);
      records.add(
          new Raw(
              id,
              CODEC.encode(
                  TestJudgments.of(id, Objective.HELPFULNESS, i % 3 == 0 ? "own" : "open"))));
    }
    for (int i = 0; i < DUPLICATES; i++) {
      records.add(records.get(7 * i));
    }
    for (Corruption corruption : Corruption.values()) {
      for (int i = 0; i < EACH_KIND; i++) {
        String id = corruption + "-" + i;
        records.add(new Raw(id, corruption.value(id)));
      }
    }
    assertEquals(RECORDS, records.size());
    Collections.shuffle(records, new Random(SEED));
    try (RecordWriter writer = new RecordWriter(settings)) {
      for (Raw raw : records) {
        writer.sendRaw(Topic.JUDGMENTS, raw.key().getBytes(StandardCharsets.UTF_8), raw.value());
      }
    }
    return good;
  }

  private static Map<String, String> expectedReasons() {
    Map<String, String> reasons = new HashMap<>();
    for (Corruption corruption : Corruption.values()) {
      for (int i = 0; i < EACH_KIND; i++) {
        if (!corruption.reason.isEmpty()) {
          reasons.put(corruption + "-" + i, corruption.reason);
        }
      }
    }
    return reasons;
  }

  /**
   * Reasons by the key of the bad record. After a failure there may be two letters for a record.
   */
  private static Map<String, String> deadLetters(KafkaSettings settings) throws IOException {
    Map<String, String> reasons = new HashMap<>();
    try (RecordReader<DeadLetter> reader =
        RecordReader.fromEarliest(settings, Topic.DEAD_LETTERS)) {
      reader.readToEnd(
          entry -> {
            DeadLetter letter = entry.record().orElseThrow();
            assertFalse(letter.getMessage().isBlank());
            reasons.put(
                StandardCharsets.UTF_8.decode(letter.getKey()).toString(), letter.getReason());
          });
    }
    return reasons;
  }
}
