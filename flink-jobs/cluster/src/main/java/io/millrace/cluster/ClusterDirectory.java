package io.millrace.cluster;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.millrace.schemas.wire.MillraceJson;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import java.util.Set;
import org.apache.flink.util.FileUtils;

/**
 * The directory of a cluster. A cluster that starts again on it resumes its jobs.
 *
 * <pre>
 * cluster.json   ports, for clients and for the next start
 * conf/          settings of Flink, ZooKeeper and logging, rewritten at each start
 * log/           NAME.log, and NAME.out with the output of a process
 * run/           NAME.pid
 * kafka/ zookeeper/ ha/   data that outlives the processes
 * archive/       what Flink keeps of jobs that have ended
 * savepoints/    default directory of savepoints
 * tmp/           temporary files of the processes
 * </pre>
 */
public final class ClusterDirectory {

  private static final ObjectMapper JSON = new ObjectMapper();

  private static final Set<PosixFilePermission> OWNER_ONLY =
      PosixFilePermissions.fromString("rwx------");

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

  Path savepoints() {
    return root.resolve("savepoints");
  }

  /** Default directory of savepoints. */
  public Path savepointDirectory() {
    return savepoints();
  }

  /** What Flink keeps of jobs that have ended. */
  public Path archive() {
    return root.resolve("archive");
  }

  /**
   * Makes the directories that a start needs. Only their owner can read them: they hold prompts,
   * weights and settings.
   */
  void create() throws IOException {
    try {
      for (Path directory :
          new Path[] {
            root,
            configuration(),
            root.resolve("log"),
            pids(),
            savepoints(),
            archive(),
            highAvailability(),
            kafka(),
            zookeeper(),
            temporary()
          }) {
        Files.createDirectories(directory);
        if (Files.getFileStore(directory).supportsFileAttributeView("posix")) {
          Files.setPosixFilePermissions(directory, OWNER_ONLY);
        }
      }
    } catch (IOException e) {
      throw new IOException(
          "--dir must be a directory that can be made, not %s (%s)".formatted(root, e), e);
    }
  }

  /** Directory of a process for temporary files. */
  Path temporary(String process) {
    return root.resolve("tmp").resolve(process);
  }

  /**
   * Empties the directory of a process that does not run. A Flink process unpacks a jar of 24 MB
   * there, and leaves it behind when it is killed.
   */
  void emptyTemporary(String process) throws IOException {
    Path directory = temporary(process);
    Files.createDirectories(directory);
    FileUtils.cleanDirectory(directory.toFile());
  }

  /**
   * Locks the directory for one supervisor, until the channel is closed or the process ends.
   *
   * @throws IOException if another process holds the lock
   */
  FileChannel lock() throws IOException {
    FileChannel channel =
        FileChannel.open(
            root.resolve("cluster.lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    if (channel.tryLock() == null) {
      channel.close();
      throw new IOException(
          "another cluster runs on --dir %s; stop it, or choose another directory".formatted(root));
    }
    return channel;
  }

  /** The ports of the last cluster on this directory; empty if there was none. */
  public Optional<Ports> ports() throws IOException {
    Path file = root.resolve("cluster.json");
    if (!Files.exists(file)) {
      return Optional.empty();
    }
    try {
      return Optional.of(MillraceJson.read(file, Ports.class, "record of ports"));
    } catch (FileSystemException e) {
      throw e;
    } catch (IOException e) {
      throw new IOException(
          "%s; delete the file and start the cluster again".formatted(e.getMessage()), e);
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
