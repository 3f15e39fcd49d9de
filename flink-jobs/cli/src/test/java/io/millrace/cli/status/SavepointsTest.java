package io.millrace.cli.status;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SavepointsTest {

  @TempDir Path directory;

  private Path savepoint(String path, long second) throws IOException {
    Path made = Files.createDirectories(directory.resolve(path));
    Files.setLastModifiedTime(
        Files.createFile(made.resolve("_metadata")), FileTime.from(Instant.ofEpochSecond(second)));
    return made;
  }

  private static List<String> paths(Savepoints savepoints) throws IOException {
    return savepoints.toJson().valueStream().map(one -> one.path("path").asText()).toList();
  }

  @Test
  void savepointsBesideTheStateOfARunAreFoundAndSortedByTime() throws IOException {
    Path own = savepoint("cluster/savepoints/savepoint-c", 20);
    Path last = savepoint("flink/millrace.ppo/000007/savepoint-b", 30);
    Path earlier = savepoint("flink/millrace.ppo/000006/savepoint-a", 10);
    Path unfinished = directory.resolve("flink/millrace.ppo/000007/savepoint-x");
    Files.createDirectories(unfinished);
    var _ = savepoint("flink/millrace.ppo/000007/0a1b/chk-3", 40);
    var _ = savepoint("flink/millrace.rollout/000001/savepoint-other", 50);

    Savepoints savepoints = new Savepoints();
    savepoints.in(directory.resolve("cluster/savepoints"));
    savepoints.besideRun(directory.resolve("flink/millrace.ppo/000007"));
    // As of another job of the same run.
    savepoints.besideRun(directory.resolve("flink/millrace.ppo/000006"));
    assertEquals(List.of(earlier.toString(), own.toString(), last.toString()), paths(savepoints));
    JsonNode first = savepoints.toJson().path(0);
    assertEquals("1970-01-01T00:00:10Z", first.path("time").asText());
  }

  @Test
  void directoriesThatAreGoneHaveNone() throws IOException {
    Savepoints savepoints = new Savepoints();
    savepoints.in(directory.resolve("none"));
    savepoints.besideRun(directory.resolve("none/job/000001"));
    assertEquals(List.of(), paths(savepoints));
  }
}
