package io.millrace.cli.deadletters;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.cli.CommandRun;
import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.flink.decode.DeadLetters;
import io.millrace.connectors.flink.source.Received;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.schemas.DeadLetter;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Role;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import io.millrace.schemas.wire.SingleObject;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The commands on a broker with dead letters as jobs write them. */
class DeadLettersTest {

  private final Instant now = Instant.now();

  @TempDir private static Path directory;
  private static EmbeddedBroker broker;
  private static int deployments;

  private KafkaSettings kafka;

  @BeforeAll
  static void start() throws Exception {
    broker = EmbeddedBroker.start(directory.resolve("kafka"), 0);
  }

  @AfterAll
  static void stop() throws Exception {
    broker.close();
  }

  /** Topics of their own for a test, with records of 256 kB at most. */
  private void topics() throws IOException {
    kafka =
        new KafkaSettings(
            broker.bootstrapServers(), "d" + deployments++ + ".", Map.of(), 256 << 10);
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      admin.createAll(1, 1);
    }
  }

  private CommandRun run(String... arguments) {
    List<String> all = new ArrayList<>(List.of("deadletters"));
    all.addAll(List.of(arguments));
    all.addAll(
        List.of(
            "--bootstrap-servers",
            broker.bootstrapServers(),
            "--topic-prefix",
            kafka.topicPrefix(),
            "--max-record-size",
            "256kb"));
    return CommandRun.of(all.toArray(String[]::new));
  }

  private static byte[] prompt(String id, String text) {
    return SingleObject.of(Prompt.class)
        .encode(
            Prompt.newBuilder()
                .setPromptId(id)
                .setDialogue(List.of(new Turn(Role.USER, text)))
                .build());
  }

  /** Sends a record, and the dead letter that a job writes when it refuses the record. */
  private void refuse(String key, byte[] value, String reason, Duration ago) throws IOException {
    try (RecordWriter writer = new RecordWriter(kafka)) {
      writer.sendRaw(Topic.PROMPTS, key.getBytes(StandardCharsets.UTF_8), value);
    }
    RecordReader.Entry<Prompt> sent = prompts().getLast();
    letter(
        new Received(
            kafka.nameOf(Topic.PROMPTS), sent.partition(), sent.offset(), 0, sent.key(), value),
        reason,
        ago);
  }

  private void letter(Received received, String reason, Duration ago) throws IOException {
    DeadLetter letter =
        new DeadLetters("rollout", kafka, Clock.fixed(now.minus(ago), ZoneOffset.UTC))
            .of(received, new RefusedRecordException(reason, "it is wrong: " + reason));
    try (RecordWriter writer = new RecordWriter(kafka)) {
      writer.send(Topic.DEAD_LETTERS, letter);
    }
  }

  private List<RecordReader.Entry<Prompt>> prompts() throws IOException {
    List<RecordReader.Entry<Prompt>> entries = new ArrayList<>();
    try (RecordReader<Prompt> reader = RecordReader.fromEarliest(kafka, Topic.PROMPTS)) {
      reader.readToEnd(entries::add);
    }
    return entries;
  }

  @Test
  void listsTheNewestAndCountsAll() throws Exception {
    topics();
    assertEquals("no dead letters\n", run("list").out());
    for (int i = 0; i < 5; i++) {
      refuse("p" + i, prompt("p" + i, "hi"), i < 3 ? "too-long" : "invalid", Duration.ofHours(i));
    }
    letter(
        new Received("/data/\u001b[31mlines.jsonl", 1, 7, 0, null, new byte[3]),
        "undecodable",
        Duration.ZERO);
    String out = run("list", "--limit", "2").out();
    assertEquals(2, out.lines().filter(line -> line.startsWith("0/")).count(), out);
    assertTrue(out.contains("6 dead letters, the newest 2 above"), out);
    assertTrue(out.contains("3  " + kafka.nameOf(Topic.PROMPTS) + "  too-long"), out);
    assertTrue(out.contains("/data/\\u001b[31mlines.jsonl/1/7"), out);
    assertFalse(out.contains("\u001b"), out);
    String chosen =
        run("list", "--topic", "prompts", "--reason", "too-long", "--since", "90min").out();
    assertTrue(chosen.contains("\n2 dead letters\n"), chosen);
    assertTrue(run("list", "--job", "ppo").out().contains("no dead letters"));
    for (String command : List.of("list", "resend")) {
      CommandRun misspelt = run(command, "--topic", "prompts", "--reason", "to-long");
      assertEquals(2, misspelt.code(), command);
      String problem =
          "no dead letter of %s has --reason to-long; there are invalid (2), too-long (3)"
              .formatted(kafka.nameOf(Topic.PROMPTS));
      assertTrue(misspelt.error().contains(problem), misspelt.error());
    }
  }

  @Test
  void showsARecordAsALineOrAsBytes() throws Exception {
    topics();
    refuse("p1", prompt("p1", "hello \u001b[2J"), "too-long", Duration.ZERO);
    refuse("p2", new byte[] {0, 1, 'A', 'B', (byte) 0xff}, "undecodable", Duration.ZERO);
    String record = run("show", "0/0").out();
    assertTrue(record.contains("reason       too-long"), record);
    assertTrue(record.contains("it is wrong: too-long"), record);
    assertTrue(record.contains("{\"promptId\":\"p1\""), record);
    assertFalse(record.contains("\u001b"), record);
    String bytes = run("show", "0/1").out();
    assertTrue(bytes.contains("000000  00 01 41 42 ff"), bytes);
    Path file = directory.resolve("value.bin");
    assertEquals(0, run("show", "0/1", "--out", file.toString()).code());
    assertArrayEquals(new byte[] {0, 1, 'A', 'B', (byte) 0xff}, Files.readAllBytes(file));
    CommandRun there = run("show", "0/1", "--out", file.toString());
    assertEquals(2, there.code());
    assertTrue(there.error().contains("exists already; name a new file"), there.error());
    assertEquals(2, run("show", "0/99").code());
    assertEquals(2, run("show", "first").code());
  }

  @Test
  void sendsEachRecordAgainOnce() throws Exception {
    topics();
    refuse("p0", prompt("p0", "a"), "too-long", Duration.ofHours(1));
    refuse("p1", prompt("p1", "b"), "too-long", Duration.ofMinutes(1));
    refuse("p2", prompt("p2", "c"), "invalid", Duration.ZERO);
    // After a failure the job wrote it once more.
    RecordReader.Entry<Prompt> first = prompts().getFirst();
    letter(
        new Received(kafka.nameOf(Topic.PROMPTS), 0, first.offset(), 0, first.key(), first.value()),
        "too-long",
        Duration.ZERO);
    assertEquals(2, run("resend").code(), "nothing was chosen");
    String dry = run("resend", "--reason", "too-long", "--dry-run").out();
    assertTrue(dry.contains("would send 2 records to " + kafka.nameOf(Topic.PROMPTS)), dry);
    assertEquals(3, prompts().size());

    CommandRun sent = run("resend", "--reason", "too-long");
    assertEquals(0, sent.code(), sent.error());
    assertTrue(sent.out().contains("sent 2 records"), sent.out());
    assertTrue(sent.out().contains("skipped 1 dead letter of a record"), sent.out());
    List<RecordReader.Entry<Prompt>> all = prompts();
    assertEquals(5, all.size());
    for (int i = 0; i < 2; i++) {
      assertArrayEquals(all.get(i).value(), all.get(3 + i).value());
      assertArrayEquals(all.get(i).key(), all.get(3 + i).key());
    }
    String again = run("resend", "--all").out();
    assertTrue(again.contains("sent 1 record "), again);
    assertTrue(again.contains("skipped 2 records sent again before"), again);
    assertTrue(run("resend", "0/0", "--again").out().contains("sent 1 record "));
    assertEquals(7, prompts().size());
    CommandRun unknown = run("resend", "0/99");
    assertEquals(1, unknown.code());
    assertTrue(unknown.error().contains("0/99: there is no such dead letter"), unknown.error());
  }

  @Test
  void aRecordThatWasRefusedAgainIsNotSentAgain() throws Exception {
    topics();
    refuse("p0", prompt("p0", "a"), "too-long", Duration.ofHours(1));
    refuse("p1", prompt("p1", "b"), "too-long", Duration.ofHours(1));
    assertTrue(run("resend", "--all").out().contains("sent 2 records"));
    // The job refuses one of the copies as it refused the record.
    refuseCopy(2);
    CommandRun skipped = run("resend", "--topic", "prompts");
    assertEquals(0, skipped.code(), skipped.error());
    assertTrue(skipped.out().contains("sent nothing"), skipped.out());
    assertTrue(skipped.out().contains("skipped 2 records sent again before ("), skipped.out());
    assertTrue(
        skipped
            .out()
            .contains(
                "skipped 1 record sent again before and refused again: mend the cause, then"
                    + " --again"),
        skipped.out());
    assertTrue(run("resend", "0/2").out().contains("refused again"));
    assertEquals(4, prompts().size());
    // Two dead letters are of one record, which is sent once.
    String again = run("resend", "--all", "--again").out();
    assertTrue(again.contains("sent 2 records"), again);
    assertTrue(again.contains("skipped 1 dead letter of a record"), again);
    assertEquals(6, prompts().size());
    refuseCopy(4);
    assertTrue(run("resend", "--all", "--again").out().contains("sent 2 records"));
    assertEquals(8, prompts().size());
  }

  private void refuseCopy(int offset) throws IOException {
    RecordReader.Entry<Prompt> copy = prompts().get(offset);
    letter(
        new Received(kafka.nameOf(Topic.PROMPTS), 0, copy.offset(), 0, copy.key(), copy.value()),
        "too-long",
        Duration.ZERO);
  }

  @Test
  void aRecordThatWasCutIsTakenFromItsTopic() throws Exception {
    topics();
    byte[] large = prompt("p1", "x".repeat(230_000));
    refuse("p1", large, "too-long", Duration.ZERO);
    String shown = run("show", "0/0").out();
    assertTrue(shown.contains(large.length + " bytes, SHA-256"), shown);
    assertTrue(run("resend", "0/0").out().contains("sent 1 record "));
    assertArrayEquals(large, prompts().getLast().value());
    // Kafka has no such record, or another one in its place.
    for (long offset : new long[] {1000, 1}) {
      letter(
          new Received(
              kafka.nameOf(Topic.PROMPTS), 0, offset, 0, null, prompt("p2", "y".repeat(230_000))),
          "too-long",
          Duration.ZERO);
    }
    CommandRun gone = run("resend", "0/1", "0/2");
    assertEquals(1, gone.code());
    assertEquals(2, gone.error().lines().filter(line -> line.contains("does not hold it")).count());
    assertTrue(run("show", "0/1").out().contains("of which the first 16384 are left"));
  }

  @Test
  void aCompactedTopicKeepsItsLaterRecord() throws Exception {
    topics();
    byte[] key = "policy".getBytes(StandardCharsets.UTF_8);
    try (RecordWriter writer = new RecordWriter(kafka)) {
      for (String value : List.of("refused", "later", "refused, the last")) {
        writer.sendRaw(Topic.POLICY_CHECKPOINTS, key, value.getBytes(StandardCharsets.UTF_8));
      }
      writer.sendRaw(Topic.PROMOTIONS, key, new byte[] {1});
    }
    for (long offset : new long[] {0, 2}) {
      letter(
          new Received(
              kafka.nameOf(Topic.POLICY_CHECKPOINTS),
              0,
              offset,
              0,
              key,
              new byte[] {(byte) offset}),
          "invalid",
          Duration.ZERO);
    }
    letter(
        new Received(kafka.nameOf(Topic.PROMOTIONS), 0, 0, 0, key, new byte[] {1}),
        "invalid",
        Duration.ZERO);
    CommandRun run = run("resend", "--all");
    assertEquals(1, run.code());
    assertTrue(run.out().contains("sent 1 record "), run.out());
    assertTrue(
        run.error().contains("policy-checkpoints/0/0 was replaced by a later record"), run.error());
    assertTrue(run.error().contains("use millrace promote or rollback"), run.error());
  }

  @Test
  void aRecordReturnsToItsPartitionWhateverTheClocksSay() throws Exception {
    kafka =
        new KafkaSettings(
            broker.bootstrapServers(), "d" + deployments++ + ".", Map.of(), 256 << 10);
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      admin.createAll(3, 1);
    }
    byte[] key = "p1".getBytes(StandardCharsets.UTF_8);
    try (RecordWriter writer = new RecordWriter(kafka)) {
      for (int partition = 0; partition < 3; partition++) {
        writer.sendRaw(Topic.PROMPTS, partition, key, prompt("p1", "a"), List.of());
      }
    }
    for (int partition = 0; partition < 3; partition++) {
      // The job's clock is an hour ahead of the broker's.
      letter(
          new Received(kafka.nameOf(Topic.PROMPTS), partition, 0, 0, key, prompt("p1", "a")),
          "too-long",
          Duration.ofHours(-1));
    }
    assertTrue(run("resend", "--all").out().contains("sent 3 records"));
    assertEquals(
        List.of(0L, 0L, 0L, 1L, 1L, 1L),
        prompts().stream().map(RecordReader.Entry::offset).sorted().toList());
    CommandRun again = run("resend", "--all");
    assertTrue(again.out().contains("skipped 3 records sent again before"), again.out());
    assertEquals(6, prompts().size());
    letter(
        new Received(kafka.nameOf(Topic.PROMPTS), 7, 0, 0, key, prompt("p1", "a")),
        "too-long",
        Duration.ZERO);
    String error = run("resend", "--all").error();
    assertTrue(error.contains("lay in a partition that does not exist any more"), error);
  }

  @Test
  void theValueOfATombstoneIsNoFile() throws Exception {
    topics();
    letter(
        new Received(
            kafka.nameOf(Topic.PROMPTS), 0, 5, 0, "p".getBytes(StandardCharsets.UTF_8), null),
        "no-value",
        Duration.ZERO);
    CommandRun run = run("show", "0/0", "--out", directory.resolve("none.bin").toString());
    assertEquals(2, run.code());
    assertTrue(run.error().contains("has no value, so there is nothing to write"), run.error());
  }

  @Test
  void whatHasNoTopicIsRefusedByName() throws Exception {
    topics();
    letter(new Received("/data/lines.jsonl", 1, 7, 0, null, new byte[3]), "invalid", Duration.ZERO);
    try (RecordWriter writer = new RecordWriter(kafka)) {
      writer.send(
          Topic.DEAD_LETTERS,
          new DeadLetters("rollout", kafka, Clock.systemUTC())
              .tooLarge(Topic.ROLLOUTS, new byte[1], new byte[10]));
    }
    CommandRun refused = run("resend", "--all");
    assertEquals(1, refused.code());
    assertTrue(refused.error().contains("correct a line of a file in that file"), refused.error());
    assertTrue(refused.error().contains("was never in its topic"), refused.error());
    assertTrue(refused.out().contains("sent nothing"), refused.out());
    for (String[] bad :
        List.of(
            new String[] {"list", "--since", "yesterday"},
            new String[] {"list", "--limit", "0"},
            new String[] {"list", "--topic", "promts"},
            new String[] {"resend", "0/1", "--all"},
            new String[] {"show", "0/-1"})) {
      CommandRun run = run(bad);
      assertEquals(2, run.code(), String.join(" ", bad) + ": " + run.error());
      assertEquals(1, run.error().lines().count(), run.error());
    }
  }
}
