package io.millrace.cli.status;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.TreeSet;
import java.util.stream.Stream;

/** The savepoints of a cluster and of its jobs, on this machine. */
final class Savepoints {

  private static final String METADATA = "_metadata";

  private final TreeSet<Path> directories = new TreeSet<>();

  /** A savepoint. */
  private record Found(Path path, FileTime time) {}

  /** Looks into a directory whose children are savepoints. */
  void in(Path directory) {
    directories.add(directory.toAbsolutePath().normalize());
  }

  /**
   * Looks beside the Flink checkpoints of a run, and of the other runs of the same job.
   *
   * @param run such as {@code millrace-data/flink/millrace.ppo/000007}
   */
  void besideRun(Path run) throws IOException {
    in(run);
    Path job = run.toAbsolutePath().normalize().getParent();
    if (job != null) {
      list(job).forEach(this::in);
    }
  }

  private static List<Path> list(Path directory) throws IOException {
    if (!Files.isDirectory(directory)) {
      return List.of();
    }
    try (Stream<Path> children = Files.list(directory)) {
      return children.filter(Files::isDirectory).sorted().toList();
    }
  }

  /** The savepoints, the latest last. */
  ArrayNode toJson() throws IOException {
    List<Found> found = new ArrayList<>();
    for (Path directory : directories) {
      for (Path child : list(directory)) {
        Path metadata = child.resolve(METADATA);
        if (Files.exists(metadata)) {
          found.add(new Found(child, Files.getLastModifiedTime(metadata)));
        }
      }
    }
    found.sort(Comparator.comparing(Found::time).thenComparing(Found::path));
    ArrayNode savepoints = new ObjectMapper().createArrayNode();
    for (Found one : found) {
      savepoints
          .addObject()
          .put("path", one.path().toString())
          .put("time", one.time().toInstant().toString());
    }
    return savepoints;
  }
}
