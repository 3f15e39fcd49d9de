package io.millrace.connectors.flink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.TestBroker;
import io.millrace.connectors.TestJobs;
import io.millrace.connectors.TestRecords;
import io.millrace.connectors.flink.source.Sources.Bound;
import io.millrace.connectors.flink.source.Sources.Start;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.connectors.kafka.TopicLayout;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Role;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import io.millrace.schemas.Turn;
import io.millrace.schemas.Withdrawal;
import io.millrace.schemas.WithdrawnBy;
import io.millrace.schemas.wire.SingleObject;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeSet;
import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.StateRecoveryOptions;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.formats.avro.typeutils.AvroTypeInfo;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

class StreamsTest {
  private static final Duration PATIENCE = Duration.ofSeconds(40);
  private static final byte[] GARBAGE = "not a record".getBytes(StandardCharsets.UTF_8);

  @TempDir Path flinkCheckpoints;

  @Test
  void nothingIsLostOrDoubledThroughAFailure() throws Exception {
    KafkaSettings in = TestBroker.freshTopics();
    KafkaSettings out = TestBroker.freshTopics();
    StreamExecutionEnvironment env = TestJobs.environment(flinkCheckpoints, 2);
    DataStream<Prompt> prompts =
        TopicInput.of(Topic.PROMPTS)
            .kafka(in)
            .job("copy")
            .read(env)
            .rebalance()
            .map(new TestJobs.FailOnce<>("p1300"))
            .returns(new AvroTypeInfo<>(Prompt.class));
    Streams.write(prompts, out, Topic.PROMPTS, "copy");
    JobClient job = env.executeAsync("copy");
    List<String> ids = new ArrayList<>();
    try (RecordReader<Prompt> reader = RecordReader.fromEarliest(out, Topic.PROMPTS)) {
      send(in, 0, 1000);
      await(reader, ids, 1000); // Visible only once a Flink checkpoint has completed.
      TestJobs.FailOnce.arm();
      send(in, 1000, 2000);
      await(reader, ids, 2000);
      reader.readToEnd(entry -> ids.add(entry.record().orElseThrow().getPromptId()));
    } finally {
      job.cancel().get();
    }
    assertFalse(TestJobs.FailOnce.armed(), "the failure never happened");
    assertEquals(2000, ids.size());
    assertEquals(2000, new TreeSet<>(ids).size());
  }

  @Test
  void aBoundedJobEndsAndUnusableRecordsBecomeDeadLetters() throws Exception {
    KafkaSettings in = TestBroker.freshTopics();
    KafkaSettings out = TestBroker.freshTopics();
    Prompt invalid = new Prompt("empty", List.of(), false, "", Instant.EPOCH);
    send(in, 0, 50);
    try (RecordWriter writer = new RecordWriter(in)) {
      writer.sendRaw(Topic.PROMPTS, GARBAGE, GARBAGE);
      writer.sendRaw(Topic.PROMPTS, null, null);
      writer.sendRaw(Topic.PROMPTS, "p3".getBytes(StandardCharsets.UTF_8), null);
      writer.sendRaw(Topic.PROMPTS, new byte[] {(byte) 0xFF}, null);
      writer.send(Topic.PROMPTS, invalid);
      writer.sendRaw(
          Topic.PROMPTS,
          "other".getBytes(StandardCharsets.UTF_8),
          SingleObject.of(Prompt.class)
              .encode(
                  new Prompt(
                      "keyed", List.of(new Turn(Role.USER, "Hi")), false, "", Instant.EPOCH)));
    }
    send(in, 50, 100);

    StreamExecutionEnvironment env = TestJobs.environment(flinkCheckpoints, 2);
    DataStream<Prompt> prompts =
        TopicInput.of(Topic.PROMPTS)
            .kafka(in)
            .job("bounded")
            .start(Start.EARLIEST)
            .bound(Bound.CURRENT_END)
            .check(
                prompt -> {
                  if (prompt.getPromptId().equals("p77")) {
                    throw new RefusedRecordException("too-long", "77 tokens; the limit is 76");
                  }
                })
            .read(env);
    Streams.write(prompts, out, Topic.PROMPTS, "bounded");
    JobExecutionResult result = env.execute("bounded");
    assertEquals(
        Map.of(
            "topics/prompts/accepted", 99L,
            "topics/prompts/deleted-unread", 0L,
            "topics/prompts/too-large", 0L,
            "topics/prompts/transactions-lost", 0L,
            "topics/prompts/dead-letters/invalid", 1L,
            "topics/prompts/dead-letters/too-long", 1L,
            "topics/prompts/dead-letters/undecodable", 3L,
            "topics/prompts/dead-letters/wrong-key", 1L,
            "topics/prompts/tombstones", 1L),
        result.getAllAccumulatorResults());

    List<String> ids = new ArrayList<>();
    try (RecordReader<Prompt> reader = RecordReader.fromEarliest(out, Topic.PROMPTS)) {
      reader.readToEnd(entry -> ids.add(entry.record().orElseThrow().getPromptId()));
    }
    assertEquals(99, ids.size());
    assertFalse(ids.contains("p77"));

    Map<String, List<DeadLetter>> letters = new HashMap<>();
    try (RecordReader<DeadLetter> reader = RecordReader.fromEarliest(in, Topic.DEAD_LETTERS)) {
      reader.readToEnd(
          entry -> {
            DeadLetter letter = entry.record().orElseThrow();
            assertEquals(
                Topic.DEAD_LETTERS.keyOf(letter), new String(entry.key(), StandardCharsets.UTF_8));
            letters.computeIfAbsent(letter.getReason(), key -> new ArrayList<>()).add(letter);
          });
    }
    assertEquals(
        new TreeSet<>(List.of("undecodable", "invalid", "too-long", "wrong-key")),
        new TreeSet<>(letters.keySet()));
    assertEquals(3, letters.get("undecodable").size());
    DeadLetter garbage =
        letters.get("undecodable").stream()
            .filter(letter -> letter.getValue() != null)
            .findFirst()
            .orElseThrow();
    assertArrayEquals(GARBAGE, garbage.getValue().array());
    assertArrayEquals(GARBAGE, garbage.getKey().array());
    assertEquals("bounded", garbage.getJob());
    assertEquals(in.nameOf(Topic.PROMPTS), garbage.getTopic());
    DeadLetter empty = letters.get("invalid").getFirst();
    assertTrue(empty.getMessage().contains("dialogue is empty"), empty.getMessage());
    assertArrayEquals(SingleObject.of(Prompt.class).encode(invalid), empty.getValue().array());
    assertEquals(
        "the key is \"other\"; it must be the record's id, \"keyed\", or absent",
        letters.get("wrong-key").getFirst().getMessage());
    assertEquals("77 tokens; the limit is 76", letters.get("too-long").getFirst().getMessage());

    List<Withdrawal> withdrawals = new ArrayList<>();
    try (RecordReader<Withdrawal> reader = RecordReader.fromEarliest(in, Topic.WITHDRAWALS)) {
      reader.readToEnd(entry -> withdrawals.add(entry.record().orElseThrow()));
    }
    assertEquals(1, withdrawals.size(), "a tombstone withdraws the record of its key");
    assertEquals("tombstone/prompts/p3", withdrawals.getFirst().getWithdrawalId());
    assertEquals(WithdrawnBy.ID, withdrawals.getFirst().getBy());
    assertEquals("p3", withdrawals.getFirst().getName());
  }

  /** {@code millrace erase} writes tombstones to topics whose tombstones withdraw nothing. */
  @Test
  void aTombstoneOfAnErasedRecordIsCountedAndNoDeadLetter() throws Exception {
    KafkaSettings in = TestBroker.freshTopics();
    KafkaSettings out = TestBroker.freshTopics();
    try (RecordWriter writer = new RecordWriter(in)) {
      writer.send(Topic.TRAINING_METRICS, metrics("ppo"));
      writer.sendRaw(Topic.TRAINING_METRICS, "ppo".getBytes(StandardCharsets.UTF_8), null);
      writer.send(Topic.TRAINING_METRICS, metrics("supervised"));
    }
    StreamExecutionEnvironment env = TestJobs.environment(flinkCheckpoints, 1);
    Streams.write(
        TopicInput.of(Topic.TRAINING_METRICS)
            .kafka(in)
            .job("erased")
            .start(Start.EARLIEST)
            .bound(Bound.CURRENT_END)
            .read(env),
        out,
        Topic.TRAINING_METRICS,
        "erased");
    Map<String, Object> counts = env.execute("erased").getAllAccumulatorResults();
    assertEquals(2L, counts.get("topics/training-metrics/accepted"));
    assertEquals(1L, counts.get("topics/training-metrics/tombstones"));
    try (RecordReader<DeadLetter> reader = RecordReader.fromEarliest(in, Topic.DEAD_LETTERS)) {
      assertEquals(0, reader.countToEnd());
    }
    try (RecordReader<Withdrawal> reader = RecordReader.fromEarliest(in, Topic.WITHDRAWALS)) {
      assertEquals(0, reader.countToEnd());
    }
  }

  private static TrainingMetrics metrics(String job) {
    return new TrainingMetrics(job, 1L, Map.of(), Instant.EPOCH);
  }

  @Test
  void recordsOfAnySizeBecomeDeadLettersAndTheJobGoesOn() throws Exception {
    KafkaSettings topics = TestBroker.freshTopics();
    KafkaSettings small =
        new KafkaSettings(
            topics.bootstrapServers(),
            topics.topicPrefix(),
            Map.of(),
            KafkaSettings.LEAST_MAX_RECORD_BYTES);
    Prompt long1 = TestRecords.prompt("long");
    long1.setDialogue(List.of(new Turn(Role.USER, "a".repeat(80_000))));
    Prompt anonymous = TestRecords.prompt("x".repeat(400_000));
    byte[] garbage = new byte[1_200_000];
    send(topics, 0, 10);
    try (RecordWriter writer = new RecordWriter(topics)) {
      writer.sendRaw(Topic.PROMPTS, garbage, garbage);
      writer.send(Topic.PROMPTS, anonymous);
      writer.send(Topic.PROMPTS, long1);
      assertThrows(
          RefusedRecordException.class,
          () -> writer.sendRaw(Topic.PROMPTS, null, new byte[topics.maxRecordBytes()]));
    }
    send(topics, 10, 20);

    KafkaSettings out = TestBroker.freshTopics();
    StreamExecutionEnvironment env = TestJobs.environment(flinkCheckpoints, 1);
    DataStream<Prompt> prompts =
        TopicInput.of(Topic.PROMPTS)
            .kafka(small)
            .job("sizes")
            .start(Start.EARLIEST)
            .bound(Bound.CURRENT_END)
            .read(env);
    Streams.write(
        prompts,
        new KafkaSettings(
            out.bootstrapServers(), out.topicPrefix(), Map.of(), small.maxRecordBytes()),
        Topic.PROMPTS,
        "sizes");
    JobExecutionResult result = env.execute("sizes");
    assertEquals(21L, result.getAllAccumulatorResults().get("topics/prompts/accepted"));
    assertEquals(1L, result.getAllAccumulatorResults().get("topics/prompts/too-large"));

    List<String> ids = new ArrayList<>();
    try (RecordReader<Prompt> reader = RecordReader.fromEarliest(out, Topic.PROMPTS)) {
      reader.readToEnd(entry -> ids.add(entry.record().orElseThrow().getPromptId()));
    }
    assertEquals(20, ids.size());
    Map<String, DeadLetter> letters = new HashMap<>();
    for (KafkaSettings settings : List.of(topics, out)) {
      try (RecordReader<DeadLetter> reader =
          RecordReader.fromEarliest(settings, Topic.DEAD_LETTERS)) {
        reader.readToEnd(
            entry ->
                letters.put(
                    entry.record().orElseThrow().getReason(), entry.record().orElseThrow()));
      }
    }
    assertEquals(
        new TreeSet<>(List.of("invalid", "too-large", "undecodable")),
        new TreeSet<>(letters.keySet()));
    assertEquals(1_200_000L, letters.get("undecodable").getValueSize());
    assertEquals(
        "Prompt: promptId has 400000 characters; it must have at most 512",
        letters.get("invalid").getMessage());
    DeadLetter tooLarge = letters.get("too-large");
    assertEquals(out.nameOf(Topic.PROMPTS), tooLarge.getTopic());
    assertEquals("sizes", tooLarge.getJob());
    assertEquals("long", StandardCharsets.UTF_8.decode(tooLarge.getKey()).toString());
    assertEquals(
        (long) SingleObject.of(Prompt.class).encode(long1).length, tooLarge.getValueSize());
  }

  @Test
  void partitionsThatAreAddedWhileAJobRunsAreRead() throws Exception {
    KafkaSettings topics = TestBroker.freshTopics();
    KafkaSettings in =
        new KafkaSettings(
            topics.bootstrapServers(),
            topics.topicPrefix(),
            Map.of("partition.discovery.interval.ms", "100"));
    KafkaSettings out = TestBroker.freshTopics();
    StreamExecutionEnvironment env = TestJobs.environment(flinkCheckpoints, 2);
    DataStream<Prompt> prompts =
        TopicInput.of(Topic.PROMPTS).kafka(in).job("discovery").start(Start.EARLIEST).read(env);
    Streams.write(prompts, out, Topic.PROMPTS, "discovery");
    JobClient job = env.executeAsync("discovery");
    List<String> ids = new ArrayList<>();
    try (RecordReader<Prompt> reader = RecordReader.fromEarliest(out, Topic.PROMPTS);
        TopicAdmin admin = new TopicAdmin(topics)) {
      send(topics, 0, 100);
      await(reader, ids, 100);
      List<String> changes =
          admin.alter(new TopicLayout(OptionalInt.of(5), OptionalInt.empty(), 0));
      long kept = Topic.all().stream().filter(topic -> !topic.compacted()).count();
      assertEquals(kept, changes.size(), changes.toString());
      send(topics, 100, 300);
      assertTrue(
          admin.describe(Topic.PROMPTS).orElseThrow().endOffsets().get(4) > 0,
          "no prompt went to a new partition");
      await(reader, ids, 300);
    } finally {
      job.cancel().get();
    }
    assertEquals(300, new TreeSet<>(ids).size());
  }

  @Test
  void recordsThatKafkaDeletedBeforeAJobResumedAreCounted() throws Exception {
    KafkaSettings in = TestBroker.freshTopics();
    KafkaSettings out = TestBroker.freshTopics();
    send(in, 0, 20);
    JobClient job = copy(in, out, Optional.empty());
    List<String> ids = new ArrayList<>();
    String savepoint;
    try (RecordReader<Prompt> reader = RecordReader.fromEarliest(out, Topic.PROMPTS)) {
      await(reader, ids, 20);
      savepoint =
          job.stopWithSavepoint(
                  false,
                  flinkCheckpoints.resolve("savepoints").toUri().toString(),
                  SavepointFormatType.CANONICAL)
              .get();
      send(in, 20, 60);
      long deleted = delete(in, 5);
      // A marker without a record is no deletion.
      marker(in);
      send(in, 60, 70);
      JobClient resumed = copy(in, out, Optional.of(savepoint));
      try {
        await(reader, ids, (int) (70 - deleted));
        Map<String, Object> expected =
            Map.of(
                "topics/prompts/accepted",
                70 - deleted,
                "topics/prompts/deleted-unread",
                deleted,
                "topics/prompts/too-large",
                0L,
                "topics/prompts/transactions-lost",
                0L);
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        // They come with heartbeats.
        while (!expected.equals(resumed.getAccumulators().get())) {
          assertTrue(
              System.nanoTime() < deadline,
              "expected %s, not %s".formatted(expected, resumed.getAccumulators().get()));
        }
      } finally {
        resumed.cancel().get();
      }
    }
  }

  private JobClient copy(KafkaSettings in, KafkaSettings out, Optional<String> state)
      throws Exception {
    StreamExecutionEnvironment env = TestJobs.environment(flinkCheckpoints, 2);
    state.ifPresent(
        path -> {
          Configuration restore = new Configuration();
          restore.set(StateRecoveryOptions.SAVEPOINT_PATH, path);
          env.configure(restore);
        });
    DataStream<Prompt> prompts =
        TopicInput.of(Topic.PROMPTS).kafka(in).job("deleted").start(Start.EARLIEST).read(env);
    Streams.write(prompts, out, Topic.PROMPTS, "deleted");
    return env.executeAsync("deleted");
  }

  /** Deletes all but the last records of each partition, and returns how many of 40 it deleted. */
  private static long delete(KafkaSettings settings, long left) throws Exception {
    try (Admin admin = Admin.create(settings.properties(Map.of()));
        TopicAdmin topics = new TopicAdmin(settings)) {
      Map<Integer, Long> ends = topics.describe(Topic.PROMPTS).orElseThrow().endOffsets();
      Map<TopicPartition, RecordsToDelete> wanted = new HashMap<>();
      ends.forEach(
          (partition, end) ->
              wanted.put(
                  new TopicPartition(settings.nameOf(Topic.PROMPTS), partition),
                  RecordsToDelete.beforeOffset(end - left)));
      admin.deleteRecords(wanted).all().get();
      return 40 - left * ends.size();
    }
  }

  private static void marker(KafkaSettings settings) {
    try (KafkaProducer<byte[], byte[]> producer =
        new KafkaProducer<>(
            settings.producerProperties(Map.of("transactional.id", settings.topicPrefix())),
            new ByteArraySerializer(),
            new ByteArraySerializer())) {
      producer.initTransactions();
      producer.beginTransaction();
      for (int partition = 0; partition < 2; partition++) {
        var _ =
            producer.send(
                new ProducerRecord<>(settings.nameOf(Topic.PROMPTS), partition, null, GARBAGE));
      }
      producer.abortTransaction();
    }
  }

  @Test
  void namesAMissingProperty() throws IOException {
    StreamExecutionEnvironment env = TestJobs.environment(flinkCheckpoints, 1);
    KafkaSettings kafka = KafkaSettings.of("localhost:9092");
    assertNotSet("kafka", () -> TopicInput.of(Topic.PROMPTS).job("copy").read(env));
    assertNotSet("job", () -> TopicInput.of(Topic.PROMPTS).kafka(kafka).read(env));
  }

  private static void assertNotSet(String property, Executable read) {
    IllegalStateException e = assertThrows(IllegalStateException.class, read);
    assertTrue(e.getMessage().startsWith(property + " is not set"), e.getMessage());
  }

  private static void send(KafkaSettings settings, int from, int to) throws IOException {
    try (RecordWriter writer = new RecordWriter(settings)) {
      for (int i = from; i < to; i++) {
        writer.send(Topic.PROMPTS, TestRecords.prompt("p" + i));
      }
    }
  }

  private static void await(RecordReader<Prompt> reader, List<String> ids, int count)
      throws IOException {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (ids.size() < count) {
      reader
          .next(Duration.ofSeconds(1))
          .ifPresent(entry -> ids.add(entry.record().orElseThrow().getPromptId()));
      assertTrue(System.nanoTime() < deadline, () -> "only " + ids.size() + " of " + count);
    }
  }
}
