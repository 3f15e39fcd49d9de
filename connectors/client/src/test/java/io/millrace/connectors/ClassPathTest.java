package io.millrace.connectors;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What a program needs that uses the client. */
class ClassPathTest {
  /** Libraries of the tests themselves, by the beginning of their names. */
  private static final List<String> OF_TESTS = List.of("junit-", "opentest4j", "apiguardian");

  /** The names of all jars without versions. A new one makes every serving process larger. */
  static Set<String> listed() throws IOException {
    return new TreeSet<>(Files.readAllLines(Path.of("class-path.txt")));
  }

  @Test
  void itIsTheListedOne() throws IOException {
    TreeSet<String> found = new TreeSet<>();
    Path project = Path.of("").toAbsolutePath().getParent().getParent();
    for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
      Path path = Path.of(entry).toAbsolutePath();
      if (path.startsWith(project)) {
        // Classes of this project: connectors/client/target/classes, or a jar below target.
        String module = project.relativize(path).toString().replaceFirst("/target/.*", "");
        if (!entry.contains("test-classes")) {
          found.add(module.equals("connectors/client") ? "millrace-client" : "millrace-" + module);
        }
      } else if (OF_TESTS.stream().noneMatch(path.getFileName().toString()::startsWith)) {
        found.add(path.getFileName().toString().replaceFirst("-\\d.*\\.jar$", ""));
      }
    }
    assertEquals(listed(), found);
    assertTrue(
        Stream.of("flink", "nd4j", "djl", "kafka_2", "kafka-server", "connectors")
            .noneMatch(unwanted -> String.join(" ", found).contains(unwanted)),
        found.toString());
  }

  /** docs/producers.md has the number of jars. */
  @Test
  void theDocumentedNumberOfJarsIsRight() throws IOException {
    String page = Files.readString(Path.of("../../docs/producers.md"));
    assertTrue(page.contains("class path has %d jars".formatted(listed().size())), page);
  }

  @Test
  void aRemoteStoreNeedsMore() {
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () ->
                CheckpointStore.copy(
                    "s3://bucket/policy/v000001", "0".repeat(64), Path.of("target/copy")));
    assertTrue(
        e.getMessage().contains("millrace-client alone reads local directories only"),
        e.getMessage());
  }
}
