package io.millrace.cli.job;

import io.millrace.cli.option.ClusterOptions;
import io.millrace.cli.option.ConfigOptions;
import io.millrace.cli.option.UserException;
import io.millrace.cli.topic.TopicsCommand;
import io.millrace.cluster.Cluster;
import io.millrace.cluster.ClusterDirectory;
import io.millrace.cluster.ClusterSettings;
import io.millrace.cluster.FlinkClient;
import io.millrace.cluster.FlinkClient.Running;
import io.millrace.cluster.Ports;
import io.millrace.schemas.Plural;
import io.millrace.schemas.Printable;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;
import org.apache.flink.configuration.MemorySize;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code millrace cluster}. */
@Command(
    name = "cluster",
    mixinStandardHelpOptions = true,
    description = {
      "Runs Kafka, ZooKeeper, a Flink JobManager with its web UI, and TaskManagers until Ctrl-C."
          + " Each is a process on this machine, and a process that dies is started again.",
      "A cluster that starts again on its directory resumes the jobs that ran there.",
    },
    footer = {
      "",
      "Examples:",
      "  millrace cluster",
      "  millrace cluster --dir /var/lib/millrace --task-managers 4 --task-manager-memory 8gb"
          + " --tensor-memory 5gb",
      "",
      "The processes take flink.properties from --config and --set, such as s3.endpoint.",
      "docs/operations.md shows how to submit, watch and stop jobs.",
    })
public final class ClusterCommand implements Callable<Integer> {

  @Option(
      names = "--dir",
      defaultValue = ClusterOptions.DEFAULT_DIRECTORY,
      description = "Directory of data, settings and logs (default: ${DEFAULT-VALUE}).")
  private Path directory;

  @Option(
      names = "--task-managers",
      paramLabel = "N",
      defaultValue = "2",
      description = "Number of TaskManager processes (default: ${DEFAULT-VALUE}).")
  private int taskManagers;

  @Option(
      names = "--slots",
      paramLabel = "N",
      description = "Task slots of each TaskManager (default: 4).")
  private Optional<Integer> slots;

  @Option(
      names = "--task-manager-memory",
      paramLabel = "SIZE",
      description = "Memory of a whole TaskManager process (default: 3gb).")
  private Optional<String> taskManagerMemory;

  @Option(
      names = "--tensor-memory",
      paramLabel = "SIZE",
      description = "Part of --task-manager-memory for models and their training (default: 1gb).")
  private Optional<String> tensorMemory;

  @Option(
      names = "--job-manager-memory",
      paramLabel = "SIZE",
      description = "Memory of the whole JobManager process (default: 1gb).")
  private Optional<String> jobManagerMemory;

  @Option(
      names = "--partitions",
      paramLabel = "N",
      description = "Partitions of each topic; existing topics must have as many (default: 1).")
  private Optional<Integer> partitions;

  @Mixin private ConfigOptions options;

  private static final String PORT_HELP =
      "; 0 takes a free one. A later start takes the same port again (default: ";

  @Option(
      names = "--kafka-port",
      paramLabel = "PORT",
      description = "Port of Kafka" + PORT_HELP + "9092).")
  private Optional<Integer> kafkaPort;

  @Option(
      names = "--rest-port",
      paramLabel = "PORT",
      description = "Port of Flink's web UI and REST interface" + PORT_HELP + "8081).")
  private Optional<Integer> restPort;

  @Option(
      names = "--zookeeper-port",
      paramLabel = "PORT",
      description = "Port of ZooKeeper" + PORT_HELP + "2181).")
  private Optional<Integer> zookeeperPort;

  @Option(
      names = "--metrics-port",
      paramLabel = "PORT",
      description =
          "Prometheus port of the JobManager; the TaskManagers take the next ones"
              + PORT_HELP
              + "9249).")
  private Optional<Integer> metricsPort;

  @Override
  public Integer call() throws Exception {
    ClusterSettings settings =
        new ClusterSettings(
            taskManagers,
            slots,
            size("--task-manager-memory", taskManagerMemory),
            size("--tensor-memory", tensorMemory),
            size("--job-manager-memory", jobManagerMemory),
            TopicsCommand.requirePartitions(partitions),
            options.load().flink().resolvedProperties());
    Ports.Wanted wanted =
        new Ports.Wanted(
            port("--rest-port", restPort),
            port("--kafka-port", kafkaPort),
            port("--zookeeper-port", zookeeperPort),
            port("--metrics-port", metricsPort));
    ClusterDirectory home = new ClusterDirectory(directory);
    CountDownLatch stop = new CountDownLatch(1);
    CountDownLatch stopped = new CountDownLatch(1);
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  if (stopped.getCount() > 0) {
                    System.err.println(
                        "millrace: stopping; the next start on this directory resumes the jobs");
                  }
                  stop.countDown();
                  awaitQuietly(stopped);
                },
                "stop-cluster"));
    Thread starter = Thread.currentThread();
    Thread.ofPlatform()
        .daemon()
        .start(
            () -> {
              // Ctrl-C may come while the cluster starts.
              awaitQuietly(stop);
              starter.interrupt();
            });
    try (Cluster cluster =
        Cluster.start(home, settings, wanted, line -> System.err.println("millrace: " + line))) {
      printAddresses(home, cluster.ports());
      printResumed(cluster.ports());
      stop.await();
    } catch (InterruptedException e) {
      // Ctrl-C.
    } finally {
      stopped.countDown();
    }
    return 0;
  }

  private void printAddresses(ClusterDirectory home, Ports ports) {
    System.out.printf("Flink    http://127.0.0.1:%d%n", ports.rest());
    System.out.printf("Kafka    %s%n", ports.kafkaAddress());
    System.out.printf(
        "Metrics  %s%n",
        ports.metrics().stream()
            .map(port -> "http://127.0.0.1:" + port)
            .collect(Collectors.joining(" ")));
    System.out.printf("Data     %s, logs in its subdirectory log%n", home.root());
    System.out.printf(
        "Ready with %s; submit with: millrace submit JOB --cluster %s; produce, consume and"
            + " topics take --cluster too; stop with Ctrl-C%n",
        Plural.of(taskManagers, "TaskManager"), directory);
    System.out.flush();
  }

  private static void printResumed(Ports ports) throws IOException {
    try (FlinkClient client = FlinkClient.of(ports)) {
      List<String> names =
          client.jobs().stream().filter(Running::isAlive).map(Running::name).sorted().toList();
      if (!names.isEmpty()) {
        System.out.printf(
            "%s %s: %s%n",
            Plural.of(names.size(), "job"),
            names.size() == 1 ? "resumes" : "resume",
            Printable.line(String.join(", ", names)));
        System.out.flush();
      }
    }
  }

  private static void awaitQuietly(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static OptionalInt port(String option, Optional<Integer> port) {
    if (port.isEmpty()) {
      return OptionalInt.empty();
    }
    if (port.get() < 0 || port.get() > 65_535) {
      throw new UserException(option + " must be from 0 to 65535, not " + port.get());
    }
    return OptionalInt.of(port.get());
  }

  private static Optional<MemorySize> size(String option, Optional<String> text)
      throws IOException {
    try {
      return text.map(MemorySize::parse);
    } catch (IllegalArgumentException e) {
      throw new UserException(
          "%s must be a size such as 3gb or 1536mb, not '%s'".formatted(option, text.get()));
    }
  }
}
