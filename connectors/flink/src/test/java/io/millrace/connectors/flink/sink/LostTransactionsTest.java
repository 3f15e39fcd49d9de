package io.millrace.connectors.flink.sink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import io.millrace.connectors.TestBroker;
import io.millrace.connectors.TestJobs;
import io.millrace.connectors.TestRecords;
import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.broker.FreePort;
import io.millrace.connectors.flink.Streams;
import io.millrace.connectors.flink.TopicInput;
import io.millrace.connectors.flink.source.Sources.Start;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.LostTransactions;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.RecordWriter;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.connectors.kafka.Transactions;
import io.millrace.connectors.kafka.WaitingRecords;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.StateRecoveryOptions;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.ExceptionUtils;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A job copies prompts from one prefix to another, and Kafka loses its transactions. */
class LostTransactionsTest {
  private static final Duration PATIENCE = Duration.ofSeconds(60);
  private static final Duration NEVER = Duration.ofHours(1);

  /** Milliseconds; long enough for a busy machine to write the record within. */
  private static final String TIMEOUT = "5000";

  @TempDir Path directory;

  @Test
  void aJobStopsWhenTheBrokerHasAbortedItsTransactionAndGoesOnWhereTheLossIsAccepted()
      throws Exception {
    KafkaSettings in = TestBroker.freshTopics();
    KafkaSettings out = TestBroker.freshTopics();
    JobClient job = start(in, out, LostTransactions.STOP, NEVER, TIMEOUT, null);
    awaitFirstFlinkCheckpoint(job);
    send(in, "lost");
    awaitOpen(out, 1);
    // Kafka aborts it after the timeout.
    awaitOpen(out, 0);
    assertThrows(
        ExecutionException.class,
        () ->
            job.stopWithSavepoint(false, savepoints().toString(), SavepointFormatType.CANONICAL)
                .get());
    Path savepoint;
    try (var entries = Files.list(Path.of(savepoints()))) {
      savepoint = entries.findFirst().orElseThrow();
    }
    // Each start finds the same.
    for (int i = 0; i < 2; i++) {
      assertLost(
          start(in, out, LostTransactions.STOP, NEVER, TIMEOUT, savepoint),
          out,
          "the broker aborted it");
    }

    JobClient accepting =
        start(in, out, LostTransactions.ACCEPT, Duration.ofMillis(200), "60000", savepoint);
    try (RecordReader<Prompt> reader = RecordReader.fromEarliest(out, Topic.PROMPTS)) {
      send(in, "later");
      assertEquals("later", next(reader));
      awaitLost(accepting, 1);
    } finally {
      accepting.cancel().get();
    }
  }

  /** Waits until the job's accumulators show a number of lost transactions. */
  private static void awaitLost(JobClient job, long count) throws Exception {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    Map<String, Object> counts = job.getAccumulators().get();
    while (!Long.valueOf(count).equals(counts.get("topics/prompts/transactions-lost"))) {
      assertTrue(System.nanoTime() < deadline, counts.toString());
      counts = job.getAccumulators().get();
    }
  }

  @Test
  void aBrokerThatForgotItsTransactionalIdsStopsTheJobUntilTheLossIsAccepted() throws Exception {
    Path data = directory.resolve("kafka");
    int port = freePort();
    KafkaSettings in = new KafkaSettings("127.0.0.1:" + port, "in.", Map.of());
    KafkaSettings out = new KafkaSettings("127.0.0.1:" + port, "out.", Map.of());
    Path savepoint;
    try (EmbeddedBroker _ = EmbeddedBroker.start(data, port)) {
      create(in);
      create(out);
      JobClient job = start(in, out, LostTransactions.STOP, NEVER, "600000", null);
      awaitFirstFlinkCheckpoint(job);
      send(in, "before");
      awaitOpen(out, 1);
      // Such a savepoint commits nothing.
      savepoint =
          Path.of(
              URI.create(
                  job.triggerSavepoint(savepoints().toString(), SavepointFormatType.CANONICAL)
                      .get()));
      send(in, "behind");
      awaitOpen(out, 2);
      job.cancel().get();
      assertThrows(
          IllegalArgumentException.class,
          () -> {
            try (Transactions transactions = new Transactions(out)) {
              transactions.abort(transactions.open(partitions(out)).getFirst());
            }
          },
          "a transaction that its coordinator knows is not aborted");
    }
    forget(data);
    try (EmbeddedBroker _ = EmbeddedBroker.start(data, port)) {
      assertLost(
          start(in, out, LostTransactions.STOP, NEVER, "600000", savepoint),
          out,
          "the broker does not know the transactional id");
      JobClient accepting =
          start(in, out, LostTransactions.ACCEPT, Duration.ofMillis(200), "60000", savepoint);
      try (RecordReader<Prompt> reader = RecordReader.fromEarliest(out, Topic.PROMPTS);
          Transactions transactions = new Transactions(out)) {
        // The cancelled job aborted its last transaction. The one of the savepoint holds readers
        // back.
        List<Transactions.Open> hanging =
            transactions.open(partitions(out)).stream().filter(Transactions.Open::hangs).toList();
        assertEquals(1, hanging.size(), hanging.toString());
        assertTrue(reader.next(Duration.ofSeconds(2)).isEmpty());
        for (Transactions.Open transaction : hanging) {
          transactions.abort(transaction);
        }
        // The record "before" is lost; the job read "behind" again after the restore.
        assertEquals("behind", next(reader));
        send(in, "later");
        assertEquals("later", next(reader));
      } finally {
        accepting.cancel().get();
      }
    }
  }

  /** What a broker has left that lost the directories of __transaction_state. */
  private static void forget(Path data) throws IOException {
    List<Path> lost;
    try (var entries = Files.list(data)) {
      lost = entries.filter(path -> path.getFileName().toString().startsWith("__tr")).toList();
    }
    assertFalse(lost.isEmpty());
    for (Path partition : lost) {
      try (var files = Files.list(partition)) {
        for (Path file : files.toList()) {
          Files.delete(file);
        }
      }
      Files.delete(partition);
    }
  }

  private JobClient start(
      KafkaSettings in,
      KafkaSettings out,
      LostTransactions lost,
      Duration interval,
      String timeoutMillis,
      Path restored)
      throws Exception {
    Configuration configuration = new Configuration();
    configuration.set(CheckpointingOptions.CHECKPOINTING_INTERVAL, interval);
    if (restored != null) {
      configuration.set(StateRecoveryOptions.SAVEPOINT_PATH, restored.toUri().toString());
    }
    StreamExecutionEnvironment env = TestJobs.environment(directory.resolve("flink"), 1);
    env.configure(configuration);
    KafkaSettings writing =
        new KafkaSettings(
            out.bootstrapServers(),
            out.topicPrefix(),
            Map.of("transaction.timeout.ms", timeoutMillis),
            out.maxRecordBytes(),
            lost);
    Streams.write(
        TopicInput.of(Topic.PROMPTS).kafka(in).job("copy").start(Start.EARLIEST).read(env),
        writing,
        Topic.PROMPTS,
        "copy");
    return env.executeAsync("copy");
  }

  private static void assertLost(JobClient job, KafkaSettings out, String why) {
    ExecutionException failed =
        assertThrows(
            ExecutionException.class,
            () -> job.getJobExecutionResult().get(PATIENCE.toSeconds(), TimeUnit.SECONDS));
    String message = ExceptionUtils.stringifyException(failed);
    assertTrue(
        message.contains(
            "1 transactions with records of " + out.nameOf(Topic.PROMPTS) + " are lost: "),
        message);
    assertTrue(message.contains(why), message);
    assertTrue(message.contains("kafka.lost-transactions=accept"), message);
  }

  private URI savepoints() {
    return directory.resolve("savepoints").toUri();
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = FreePort.hold(InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }

  private static void create(KafkaSettings settings) throws IOException {
    try (TopicAdmin admin = new TopicAdmin(settings)) {
      admin.createAll(1, 1);
    }
  }

  private static List<TopicPartition> partitions(KafkaSettings settings) throws IOException {
    try (TopicAdmin admin = new TopicAdmin(settings)) {
      return admin.describe(Topic.PROMPTS).orElseThrow().topicPartitions();
    }
  }

  /** Flink makes one when the job starts, whatever the interval. */
  private void awaitFirstFlinkCheckpoint(JobClient job) {
    Path metadata =
        directory
            .resolve("flink")
            .resolve(job.getJobID().toHexString())
            .resolve("chk-1")
            .resolve("_metadata");
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (!Files.exists(metadata)) {
      assertTrue(System.nanoTime() < deadline, () -> metadata + " does not appear");
      Thread.onSpinWait();
    }
  }

  private static void awaitOpen(KafkaSettings settings, int count) throws IOException {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    try (Transactions transactions = new Transactions(settings)) {
      List<Transactions.Open> open = transactions.open(partitions(settings));
      while (open.size() != count) {
        if (System.nanoTime() > deadline) {
          fail(
              "%d transactions must be open, not %s; waiting: %s"
                  .formatted(count, open, WaitingRecords.in(settings, partitions(settings))));
        }
        open = transactions.open(partitions(settings));
      }
    }
  }

  private static void send(KafkaSettings settings, String id) throws IOException {
    try (RecordWriter writer = new RecordWriter(settings)) {
      writer.send(Topic.PROMPTS, TestRecords.prompt(id));
    }
  }

  private static String next(RecordReader<Prompt> reader) throws IOException {
    return reader.next(PATIENCE).orElseThrow().record().orElseThrow().getPromptId();
  }
}
