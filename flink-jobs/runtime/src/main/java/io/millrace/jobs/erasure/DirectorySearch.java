package io.millrace.jobs.erasure;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.schemas.PlainFiles;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;

/**
 * Searches the directories of jobs for erased texts. Weights ({@code *.safetensors}) are left out:
 * they hold no text.
 */
final class DirectorySearch {

  /** A job that runs replaces a Flink checkpoint within this time. */
  private static final Duration RUNNING = Duration.ofMinutes(10);

  private static final Duration LOOK = Duration.ofSeconds(1);

  private static final Pattern FLINK_CHECKPOINT =
      Pattern.compile(".*/(chk-\\d+|shared|taskowned)/.*");

  private final TextSearch search;
  private final Map<Path, String> found = new TreeMap<>();
  private final List<String> problems = new ArrayList<>();
  private final TreeSet<Path> searched = new TreeSet<>();
  private long files;
  private final TreeSet<Path> recent = new TreeSet<>();

  DirectorySearch(TextSearch search) {
    this.search = search;
  }

  /** Searches local directories; others become problems. A directory in another one is skipped. */
  void search(Collection<String> locations) {
    TreeSet<Path> roots = new TreeSet<>();
    for (String location : locations) {
      if (CheckpointStore.isLocal(location)) {
        roots.add(CheckpointStore.localPath(location).toAbsolutePath().normalize());
      } else {
        problems.add(
            "%s is on no disk of this machine and was not searched; search a copy of it with --search"
                .formatted(location));
      }
    }
    for (Path root : roots) {
      boolean inside = searched.stream().anyMatch(root::startsWith);
      if (!inside && Files.exists(root)) {
        searched.add(root);
        walk(root);
      }
    }
  }

  private void walk(Path root) {
    try {
      Path _ =
          Files.walkFileTree(
              root,
              new SimpleFileVisitor<>() {
                @Override
                public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
                  if (attributes.isRegularFile() && !file.toString().endsWith(".safetensors")) {
                    visit(file, attributes);
                  }
                  return FileVisitResult.CONTINUE;
                }

                @Override
                public FileVisitResult visitFileFailed(Path file, IOException e) {
                  problem(file, e);
                  return FileVisitResult.CONTINUE;
                }

                @Override
                public FileVisitResult postVisitDirectory(Path directory, IOException e) {
                  if (e != null) {
                    problem(directory, e);
                  }
                  return FileVisitResult.CONTINUE;
                }
              });
    } catch (IOException e) {
      problem(root, e);
    }
  }

  private void visit(Path file, BasicFileAttributes attributes) {
    files++;
    if (holdsText(file)) {
      found.put(file, advice(file));
      if (isFlinkCheckpoint(file)
          && attributes.lastModifiedTime().toInstant().isAfter(Instant.now().minus(RUNNING))) {
        recent.add(file);
      }
    }
  }

  private boolean holdsText(Path file) {
    try (InputStream in = PlainFiles.open(file)) {
      return search.isIn(in);
    } catch (IOException e) {
      problem(file, e);
      return false;
    }
  }

  private void problem(Path file, IOException e) {
    // Flink and Kafka delete files at any time.
    if (!(e instanceof NoSuchFileException)) {
      problems.add("%s cannot be read, and was not searched (%s)".formatted(file, e));
    }
  }

  private static boolean isFlinkCheckpoint(Path file) {
    return FLINK_CHECKPOINT.matcher(file.toString()).matches();
  }

  private static String advice(Path file) {
    String path = file.toString();
    if (isFlinkCheckpoint(file)) {
      return "a Flink checkpoint: a later one replaces it while the job runs; if the job does not"
          + " run, start it, stop it with millrace stop, and delete the directory";
    }
    if (path.contains("/savepoint")) {
      return "a savepoint: take a new one with millrace savepoint, then delete this directory";
    }
    if (path.contains("/bags/")) {
      return "a bag of rejection sampling: delete the file; a later run leaves a new one";
    }
    if (path.endsWith(".log") || path.endsWith(".out") || path.contains("/log/")) {
      return "a log: delete the file";
    }
    if (Files.exists(file.resolveSibling("partition.metadata"))) {
      return "Kafka's own log: its cleaner has not come here yet, or the topic is none that erase"
          + " cleans";
    }
    return "delete the file, or remove the text from it";
  }

  /**
   * Waits until the Flink checkpoints of the last minutes that hold texts are gone: the next one of
   * a job that knows of the withdrawal does not hold them.
   *
   * @param end in the time of {@link System#nanoTime}
   */
  void awaitFlinkCheckpoints(Collection<String> locations, long end) throws InterruptedException {
    while (!recent.isEmpty() && System.nanoTime() < end) {
      Thread.sleep(LOOK);
      if (recent.stream().noneMatch(Files::exists)) {
        // A job may have begun a checkpoint before it knew of the withdrawal.
        again(locations);
      }
    }
  }

  private void again(Collection<String> locations) {
    found.clear();
    problems.clear();
    searched.clear();
    recent.clear();
    files = 0;
    search(locations);
  }

  /** Files that hold erased texts, with advice how to get rid of them. */
  Map<Path, String> found() {
    return found;
  }

  /** What was not searched, one sentence each. */
  List<String> problems() {
    return problems;
  }

  Collection<Path> directories() {
    return searched;
  }

  long files() {
    return files;
  }
}
