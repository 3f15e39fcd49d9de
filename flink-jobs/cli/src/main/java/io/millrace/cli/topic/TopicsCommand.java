package io.millrace.cli.topic;

import io.millrace.cli.option.KafkaOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.kafka.TopicAdmin;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code millrace topics}. */
@Command(
    name = "topics",
    mixinStandardHelpOptions = true,
    description = "Lists Millrace's topics with their record type and size; --create creates them.",
    footer = {
      "",
      "Examples:",
      "  millrace topics",
      "  millrace topics --bootstrap-servers kafka:9092 --create --partitions 8",
    })
public final class TopicsCommand implements Callable<Integer> {

  @Mixin private KafkaOptions kafka;

  @Option(names = "--create", description = "Create the topics that do not exist.")
  private boolean create;

  @Option(
      names = "--partitions",
      defaultValue = "1",
      description = "Partitions of each new topic (default: ${DEFAULT-VALUE}).")
  private int partitions;

  @Option(
      names = "--replication",
      description = "Replicas of each new topic (default: the broker's own default).")
  private Integer replication;

  @Override
  public Integer call() throws Exception {
    if (partitions < 1) {
      throw new UserException("--partitions must be at least 1, not " + partitions);
    }
    if (replication != null && (replication < 1 || replication > Short.MAX_VALUE)) {
      throw new UserException(
          "--replication must be from 1 to %d, not %d".formatted(Short.MAX_VALUE, replication));
    }
    try (TopicAdmin admin = new TopicAdmin(kafka.settings())) {
      if (create) {
        admin.createAll(partitions, replication == null ? TopicAdmin.CLUSTER_DEFAULT : replication);
      }
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
}
