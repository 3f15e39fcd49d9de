package io.millrace.cli.topic;

import io.millrace.cli.option.KafkaOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.connectors.kafka.TopicLayout;
import java.io.IOException;
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

  @Mixin private KafkaOptions kafka;

  @Option(names = "--create", description = "Create the topics that do not exist.")
  private boolean create;

  @Option(
      names = "--alter",
      description = "Add partitions to existing topics, and raise their record size.")
  private boolean alter;

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
    try (TopicAdmin admin = new TopicAdmin(kafka.settings())) {
      change(admin);
      List<TopicAdmin.State> topics = admin.describe();
      if (topics.isEmpty()) {
        throw new UserException(
            "Kafka at %s has none of the topics; create them with --create, or correct --topic-prefix"
                .formatted(kafka.settings().bootstrapServers()));
      }
      System.out.printf("%-30s %-18s %10s %10s%n", "TOPIC", "RECORDS OF", "PARTITIONS", "OFFSETS");
      for (TopicAdmin.State topic : topics) {
        System.out.printf(
            "%-30s %-18s %10d %10d%s%n",
            topic.name(),
            topic.topic().type().getSimpleName(),
            topic.partitions(),
            topic.offsets(),
            topic.compacted() ? "  compacted" : "");
      }
    }
    return 0;
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
