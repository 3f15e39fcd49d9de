package io.millrace.cli.topic;

import io.millrace.cli.option.KafkaOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.RecordReader;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.connectors.kafka.TopicLayout;
import io.millrace.connectors.kafka.Transactions;
import io.millrace.connectors.kafka.WaitingRecords;
import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code millrace topics}. */
@Command(
    name = "topics",
    mixinStandardHelpOptions = true,
    description = {
      "Lists Millrace's topics with their record type and size; --create creates them.",
      "With --create, an existing topic that differs from --partitions or --replication, or refuses"
          + " records of --max-record-size, is an error. --alter changes it. New partitions change"
          + " the partition of a key; jobs read them from their first record.",
    },
    footer = {
      "",
      "Examples:",
      "  millrace topics",
      "  millrace topics --bootstrap-servers kafka:9092 --create --partitions 8",
      "  millrace topics --alter --partitions 16 --max-record-size 32mb",
    })
public final class TopicsCommand implements Callable<Integer> {

  /** Topics with more offsets are only counted on demand. */
  private static final long COUNTED = 20_000;

  @Mixin private KafkaOptions kafka;

  @Option(names = "--create", description = "Create the topics that do not exist.")
  private boolean create;

  @Option(
      names = "--alter",
      description = "Add partitions to existing topics, and raise their record size.")
  private boolean alter;

  @Option(
      names = "--count",
      description =
          "Count the records of large topics, too; this reads them. Without it, topics with more"
              + " than 20000 offsets show an upper limit: offsets also count transaction markers.")
  private boolean count;

  @Option(
      names = "--abort-hanging",
      description =
          "Abort the open transactions that no coordinator knows and nobody will end, such as"
              + " after a loss of __transaction_state.")
  private boolean abortHanging;

  @Option(
      names = "--partitions",
      paramLabel = "N",
      description =
          "Partitions of each topic (default: 1 for new topics). Compacted topics always have 1.")
  private Optional<Integer> partitions;

  @Option(
      names = "--replication",
      description = "Replicas of each new topic (default: the broker's own default).")
  private Optional<Integer> replication;

  @Override
  public Integer call() throws Exception {
    requirePartitions(partitions);
    replication.ifPresent(TopicsCommand::requireReplication);
    if (!create && !alter && (partitions.isPresent() || replication.isPresent())) {
      throw new UserException("--partitions and --replication need --create or --alter");
    }
    KafkaSettings settings = kafka.settings();
    kafka.requireListener(settings);
    try (TopicAdmin admin = new TopicAdmin(settings)) {
      change(admin);
      List<TopicAdmin.State> topics = admin.describe();
      if (topics.isEmpty()) {
        throw new UserException(
            "Kafka at %s has none of the topics; create them with --create, or correct --topic-prefix"
                .formatted(settings.bootstrapServers()));
      }
      if (abortHanging) {
        abortHanging(settings, topics);
      }
      print(settings, topics);
    }
    return 0;
  }

  private void print(KafkaSettings settings, List<TopicAdmin.State> topics) throws IOException {
    System.out.printf(
        "%-30s %-18s %10s %12s %10s%n", "TOPIC", "RECORDS OF", "PARTITIONS", "RECORDS", "WAITING");
    List<WaitingRecords> all = new ArrayList<>();
    for (TopicAdmin.State topic : topics) {
      List<WaitingRecords> waiting = WaitingRecords.in(settings, topic.topicPartitions());
      all.addAll(waiting);
      System.out.printf(
          "%-30s %-18s %10d %12s %10d%s%n",
          topic.name(),
          topic.topic().type().getSimpleName(),
          topic.partitions(),
          records(settings, topic),
          waiting.stream().mapToLong(WaitingRecords::records).sum(),
          topic.topic().compacted() ? "  compacted" : "");
    }
    all.forEach(waiting -> System.err.println("millrace: " + waiting.text(Instant.now())));
  }

  /** Offsets also count transaction markers and aborted records, so records are read to count. */
  private String records(KafkaSettings settings, TopicAdmin.State topic) throws IOException {
    long offsets = topic.offsets();
    if (offsets == 0) {
      return "0";
    }
    if (offsets > COUNTED && !count) {
      return "<= " + offsets;
    }
    try (RecordReader<?> reader = RecordReader.fromEarliest(settings, topic.topic())) {
      return Long.toString(reader.countToEnd());
    }
  }

  private static void abortHanging(KafkaSettings settings, List<TopicAdmin.State> topics)
      throws IOException {
    int aborted = 0;
    try (Transactions transactions = new Transactions(settings)) {
      for (TopicAdmin.State topic : topics) {
        for (Transactions.Open open : transactions.open(topic.topicPartitions())) {
          if (open.hangs()) {
            transactions.abort(open);
            aborted++;
            System.err.printf(
                "aborted the transaction of producer %d in %s, from offset %d on%n",
                open.producerId(), open.partition(), open.firstOffset());
          }
        }
      }
    }
    System.err.println("aborted " + aborted + " hanging transactions");
  }

  private void change(TopicAdmin admin) throws IOException {
    TopicLayout layout =
        new TopicLayout(
            optional(partitions), optional(replication), kafka.settings().maxRecordBytes());
    if (alter) {
      admin.alter(layout).forEach(change -> System.err.println("altered: " + change));
    } else if (create) {
      admin.require(layout);
    }
    if (create) {
      admin.createAll(partitions.orElse(1), replication.orElse(TopicAdmin.CLUSTER_DEFAULT));
    }
  }

  private static OptionalInt optional(Optional<Integer> value) {
    return value.isPresent() ? OptionalInt.of(value.get()) : OptionalInt.empty();
  }

  /** Checks an option {@code --partitions}. */
  public static OptionalInt requirePartitions(Optional<Integer> partitions) {
    partitions
        .filter(count -> count < 1)
        .ifPresent(
            count -> {
              throw new UserException("--partitions must be at least 1, not " + count);
            });
    return optional(partitions);
  }

  private static void requireReplication(int replication) {
    if (replication < 1 || replication > Short.MAX_VALUE) {
      throw new UserException(
          "--replication must be from 1 to %d, not %d".formatted(Short.MAX_VALUE, replication));
    }
  }
}
