package io.millrace.cluster;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Optional;

/**
 * A cluster's directory, on which it can be started again.
 *
 * <pre>
 * cluster.json   where it listens, for clients and for the next start
 * conf/          Flink's, ZooKeeper's and the log's settings, written anew at each start
 * log/           NAME.log, and NAME.out with what a process printed
 * run/           NAME.pid
 * kafka/ zookeeper/ ha/   what must outlive the processes
 * savepoints/    by default
 * tmp/           of the processes
 * </pre>
 */
public final class ClusterDirectory {

  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path root;

  public ClusterDirectory(Path root) {
    this.root = root.toAbsolutePath().normalize();
  }

  public Path root() {
    return root;
  }

  Path configuration() {
    return root.resolve("conf");
  }

  Path log(String process) {
    return root.resolve("log").resolve(process + ".log");
  }

  Path output(String process) {
    return root.resolve("log").resolve(process + ".out");
  }

  Path pids() {
    return root.resolve("run");
  }

  Path kafka() {
    return root.resolve("kafka");
  }

  Path zookeeper() {
    return root.resolve("zookeeper");
  }

  Path highAvailability() {
    return root.resolve("ha");
  }

  Path temporary() {
    return root.resolve("tmp");
  }

  public Path savepoints() {
    return root.resolve("savepoints");
  }

  /** Makes what a start needs. */
  void create() throws IOException {
    try {
      for (Path directory :
          new Path[] {configuration(), root.resolve("log"), pids(), savepoints(), temporary()}) {
        Files.createDirectories(directory);
      }
    } catch (IOException e) {
      throw new IOException(
          "the cluster's directory %s cannot be made (%s); choose another with --dir"
              .formatted(root, e),
          e);
    }
  }

  /**
   * Makes sure that one supervisor at a time works here; held until closed or the process ends.
   *
   * @throws IOException when another holds it
   */
  FileChannel lock() throws IOException {
    FileChannel channel =
        FileChannel.open(
            root.resolve("cluster.lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    if (channel.tryLock() == null) {
      channel.close();
      throw new IOException(
          "a cluster already runs on %s; stop it, or choose another directory with --dir"
              .formatted(root));
    }
    return channel;
  }

  /** Where the cluster listens, or empty when none was ever started here. */
  public Optional<Ports> ports() throws IOException {
    Path file = root.resolve("cluster.json");
    try {
      return Optional.of(JSON.readValue(Files.readString(file), Ports.class));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (JsonProcessingException e) {
      throw new IOException(
          "%s is damaged (%s); remove it and start the cluster again"
              .formatted(file, e.getOriginalMessage()),
          e);
    }
  }

  void write(Ports ports) throws IOException {
    Path next = root.resolve("cluster.json.next");
    Files.writeString(next, JSON.writerWithDefaultPrettyPrinter().writeValueAsString(ports) + "\n");
    Files.move(
        next,
        root.resolve("cluster.json"),
        StandardCopyOption.ATOMIC_MOVE,
        StandardCopyOption.REPLACE_EXISTING);
  }
}
