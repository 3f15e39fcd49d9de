package io.millrace.cli.topic;

import io.millrace.cli.option.KafkaOptions;
import io.millrace.cli.option.UserException;
import io.millrace.connectors.broker.EmbeddedBroker;
import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.TopicAdmin;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code millrace broker}. */
@Command(
    name = "broker",
    mixinStandardHelpOptions = true,
    description = "Runs a Kafka broker with Millrace's topics in this process, until Ctrl-C.",
    footer = {
      "",
      "Example:",
      "  millrace broker --port 9092 --data millrace-data/kafka",
    })
public final class BrokerCommand implements Callable<Integer> {

  @Option(
      names = "--port",
      defaultValue = "9092",
      description = "Port on 127.0.0.1; 0 takes a free one (default: ${DEFAULT-VALUE}).")
  private int port;

  @Option(
      names = "--data",
      defaultValue = "millrace-data/kafka",
      description = "Directory of the broker's data (default: ${DEFAULT-VALUE}).")
  private Path data;

  @Option(
      names = "--topic-prefix",
      defaultValue = "millrace.",
      description = "Prefix of every topic name (default: ${DEFAULT-VALUE}).")
  private String topicPrefix;

  @Option(
      names = "--partitions",
      paramLabel = "N",
      description = "Partitions of each topic; existing topics must have as many (default: 1).")
  private Optional<Integer> partitions;

  private static final int MAX_PORT = 65_535;

  @Override
  public Integer call() throws Exception {
    OptionalInt wanted = TopicsCommand.requirePartitions(partitions);
    if (port < 0 || port > MAX_PORT) {
      throw new UserException("--port must be from 0 to %d, not %d".formatted(MAX_PORT, port));
    }
    // Checked before the broker starts.
    var _ = KafkaOptions.settings("localhost:9092", topicPrefix, Map.of());
    EmbeddedBroker broker = EmbeddedBroker.start(data, port);
    CountDownLatch stopped = new CountDownLatch(1);
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  try {
                    broker.close();
                  } catch (IOException e) {
                    System.err.println("millrace: " + e.getMessage());
                  }
                  stopped.countDown();
                },
                "stop-broker"));
    try (TopicAdmin admin =
        new TopicAdmin(new KafkaSettings(broker.bootstrapServers(), topicPrefix, Map.of()))) {
      admin.createAll(wanted.orElse(1), 1);
      admin.requirePartitions(wanted);
    }
    System.out.println(
        "Kafka runs at "
            + broker.bootstrapServers()
            + " with its data in "
            + data
            + "; stop it with Ctrl-C");
    stopped.await();
    return 0;
  }
}
