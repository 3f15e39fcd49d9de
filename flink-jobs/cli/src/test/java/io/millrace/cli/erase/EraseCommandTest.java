package io.millrace.cli.erase;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.cli.CommandRun;
import org.junit.jupiter.api.Test;

/** Wrong options. What the command does is in {@code EraseTest}, with a broker. */
class EraseCommandTest {

  private static void refuses(String problem, String... arguments) {
    CommandRun run = CommandRun.of(arguments);
    assertEquals(2, run.code(), run.error());
    assertTrue(run.error().contains(problem), run.error());
  }

  @Test
  void exactlyOneOfAnnotatorSourceAndIdIsNeeded() {
    refuses("--annotator", "erase", "--yes");
    refuses("mutually exclusive", "erase", "--id", "a", "--source", "b", "--yes");
  }

  @Test
  void namesAndDurationsAreChecked() {
    refuses("name is empty", "erase", "--annotator", " ", "--yes");
    refuses("name has 529 characters", "erase", "--id", "x".repeat(529), "--yes");
    refuses(
        "--deadline must be a duration", "erase", "--id", "a", "--yes", "--deadline", "tomorrow");
    refuses("ID is empty", "lineage", " ");
  }

  @Test
  void aBrokerThatDoesNotListenIsNamed() {
    refuses("localhost:1", "erase", "--id", "a", "--yes", "--bootstrap-servers", "localhost:1");
    refuses(
        "give --bootstrap-servers or --cluster, not both",
        "lineage",
        "a",
        "--bootstrap-servers",
        "localhost:1",
        "--cluster",
        "dir");
  }
}
