package io.millrace.cluster;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.connectors.kafka.TopicAdmin;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.time.Duration;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.apache.flink.configuration.Configuration;

/**
 * Kafka, ZooKeeper, a JobManager and TaskManagers as supervised processes. Jobs survive the death
 * of each: a restarted JobManager finds its jobs and their last Flink checkpoints in ZooKeeper.
 */
public final class Cluster implements AutoCloseable {

  /** Enough for a busy machine; a process that ends is reported without waiting. */
  private static final Duration START = Duration.ofMinutes(5);

  private final FileChannel lock;
  private final Supervisor supervisor;
  private final Ports ports;

  private Cluster(FileChannel lock, Supervisor supervisor, Ports ports) {
    this.lock = lock;
    this.supervisor = supervisor;
    this.ports = ports;
  }

  /**
   * Starts the processes and returns when the cluster takes jobs.
   *
   * @param messages takes one line whenever a process ends
   * @throws IOException if a port is taken, the directory is in use, or a process does not start
   */
  public static Cluster start(
      ClusterDirectory directory,
      ClusterSettings settings,
      Ports.Wanted wanted,
      Consumer<String> messages)
      throws IOException, InterruptedException {
    directory.create();
    FileChannel lock = directory.lock();
    Cluster cluster = null;
    try {
      Supervisor.reap(directory);
      Ports earlier = directory.ports().orElse(null);
      Ports ports = wanted.choose(earlier, settings.taskManagers());
      if (earlier != null && earlier.kafka() != ports.kafka()) {
        messages.accept(
            "Kafka moved from port %d to %d: a job that resumes looks for it at the old port; cancel the job and submit it again, or start with --kafka-port %d"
                .formatted(earlier.kafka(), ports.kafka(), earlier.kafka()));
      }
      Configuration flink = FlinkSettings.of(directory, settings, ports);
      writeConfiguration(directory, flink, ports);
      cluster = new Cluster(lock, new Supervisor(directory, messages), ports);
      cluster.launch(new Processes(directory, flink, ports), settings);
      directory.write(ports);
      return cluster;
    } catch (IOException | InterruptedException | RuntimeException e) {
      if (cluster != null) {
        cluster.close();
      } else {
        lock.close();
      }
      throw e;
    }
  }

  public Ports ports() {
    return ports;
  }

  private static void writeConfiguration(
      ClusterDirectory directory, Configuration flink, Ports ports) throws IOException {
    FlinkSettings.write(flink, directory.configuration());
    Files.writeString(
        directory.configuration().resolve("log4j2.properties"),
        JvmFlags.resource("log4j2.properties"));
    Files.writeString(
        directory.configuration().resolve("zoo.cfg"),
        """
        dataDir=%s
        clientPort=%d
        clientPortAddress=%s
        tickTime=1000
        admin.enableServer=false
        """
            .formatted(directory.zookeeper(), ports.zookeeper(), Ports.HOST));
  }

  private void launch(Processes processes, ClusterSettings settings)
      throws IOException, InterruptedException {
    int taskManagers = settings.taskManagers();
    for (ProcessSpec process : processes.all(taskManagers)) {
      supervisor.start(process);
    }
    long deadline = System.nanoTime() + START.toNanos();
    awaitKafka(deadline, settings.partitions());
    try (FlinkClient client = FlinkClient.of(ports)) {
      await(
          deadline,
          "%d TaskManagers did not register".formatted(taskManagers),
          () -> client.taskManagers() >= taskManagers);
    }
  }

  private void awaitKafka(long deadline, OptionalInt partitions)
      throws IOException, InterruptedException {
    KafkaSettings kafka = KafkaSettings.of(ports.kafkaAddress());
    await(
        deadline,
        "Kafka did not answer",
        () -> {
          try (TopicAdmin admin = new TopicAdmin(kafka)) {
            admin.createAll(partitions.orElse(1), TopicAdmin.CLUSTER_DEFAULT);
            return true;
          }
        });
    try (TopicAdmin admin = new TopicAdmin(kafka)) {
      admin.requirePartitions(partitions);
    }
  }

  private interface Condition {
    boolean holds() throws IOException, InterruptedException;
  }

  private void await(long deadline, String failure, Condition condition)
      throws IOException, InterruptedException {
    IOException last = null;
    while (System.nanoTime() < deadline) {
      Optional<String> ended = supervisor.failedToStart();
      if (ended.isPresent()) {
        throw new IOException(ended.get());
      }
      try {
        if (condition.holds()) {
          return;
        }
      } catch (IOException e) {
        // The process is still starting.
        last = e;
      }
      TimeUnit.MILLISECONDS.sleep(200);
    }
    throw new IOException(
        "%s within %d s; see the logs in the subdirectory log of --dir"
            .formatted(failure, START.toSeconds()),
        last);
  }

  /**
   * Stops every process, Kafka last. The next start resumes the jobs from their last Flink
   * checkpoints.
   */
  @Override
  public void close() throws IOException {
    supervisor.close();
    lock.close();
  }
}
