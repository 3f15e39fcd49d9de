package io.millrace.jobs.resume;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.apache.flink.runtime.checkpoint.Checkpoints;
import org.apache.flink.runtime.checkpoint.metadata.CheckpointMetadata;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class JobRunsTest {

  private static final RunSettings SETTINGS =
      settings(Map.of("ppo.kl", "0.01", "model.name", "policy", "flink.parallelism", "1"));

  @TempDir private Path directory;

  private static RunSettings settings(Map<String, String> values) {
    return new RunSettings(new TreeMap<>(values));
  }

  private JobRuns runs() {
    return new JobRuns(directory.toString(), "millrace.ppo");
  }

  private Path run(int number) {
    return directory.resolve("millrace.ppo").resolve("%06d".formatted(number));
  }

  private static void complete(Path state, long id) throws IOException {
    Files.createDirectories(state);
    try (DataOutputStream out =
        new DataOutputStream(Files.newOutputStream(state.resolve("_metadata")))) {
      Checkpoints.storeCheckpointMetadata(new CheckpointMetadata(id, List.of(), List.of()), out);
    }
  }

  private String latest() throws IOException {
    return runs()
        .resumable()
        .map(last -> Path.of(java.net.URI.create(last.state().path())).getFileName().toString())
        .orElse("none");
  }

  @Test
  void theLatestCompleteStateOfTheLastRunIsFound() throws IOException {
    assertEquals("none", latest());
    JobRun first = runs().begin(false, Optional.empty(), SETTINGS);
    assertEquals("none", latest());
    complete(run(1).resolve("abc/chk-9"), 9);
    complete(run(1).resolve("abc/chk-10"), 10);
    // A Flink checkpoint that was not completed.
    Files.createDirectories(run(1).resolve("abc/chk-11"));
    assertEquals("chk-10", latest());
    complete(run(1).resolve("savepoint-abc-1"), 12);
    assertEquals("savepoint-abc-1", latest());
    complete(run(1).resolve("abc/chk-13"), 13);
    assertEquals("chk-13", latest());
    Path elsewhere = directory.resolve("elsewhere");
    complete(elsewhere, 14);
    first.markStopped(elsewhere.toString());
    assertEquals("elsewhere", latest());
    Files.delete(elsewhere.resolve("_metadata"));
    IOException e = assertThrows(IOException.class, () -> runs().resumable());
    assertTrue(e.getMessage().contains("which is gone"), e.getMessage());
    first.markContinued();
    assertEquals("chk-13", latest());
  }

  @Test
  void aRunThatWroteNoStateLeavesTheStateFromWhichItContinued() throws IOException {
    runs().begin(false, Optional.empty(), SETTINGS);
    complete(run(1).resolve("abc/chk-3"), 3);
    String from = runs().resumable().orElseThrow().state().path();
    JobRun second = runs().begin(false, Optional.of(from), SETTINGS);
    assertEquals("chk-3", latest());
    JobRun third = runs().begin(false, Optional.of(from), SETTINGS);
    assertFalse(Files.exists(run(2)), "a run without state is deleted");
    complete(run(3).resolve("def/chk-4"), 4);
    assertEquals("chk-4", latest());
    third.markEnded();
    assertEquals("none", latest());
    assertTrue(runs().hasEnded());
    assertTrue(second.directory().endsWith("000002"), second.directory());
  }

  @Test
  void aFreshRunForgetsTheStateAndKeepsItOnDisk() throws IOException {
    runs().begin(false, Optional.empty(), SETTINGS);
    complete(run(1).resolve("abc/chk-3"), 3);
    runs().begin(false, Optional.empty(), SETTINGS);
    assertEquals("none", latest());
    assertTrue(Files.exists(run(1).resolve("abc/chk-3/_metadata")));
  }

  @Test
  void optionsThatTheStateBelongsToCannotChange() throws IOException {
    runs().begin(true, Optional.empty(), SETTINGS);
    complete(run(1).resolve("abc/chk-3"), 3);
    JobRuns.LastRun last = runs().resumable().orElseThrow();
    assertTrue(last.bounded());
    assertEquals(List.of(), SETTINGS.changesSince(last));
    assertEquals(
        List.of("ppo.kl was 0.01 and is 0.02 now"),
        settings(Map.of("ppo.kl", "0.02", "model.name", "policy", "flink.parallelism", "1"))
            .changesSince(last));
    RunSettings other =
        settings(Map.of("ppo.kl", "0.01", "model.name", "other", "flink.parallelism", "2"));
    String refusal =
        assertThrows(IllegalArgumentException.class, () -> other.changesSince(last)).getMessage();
    assertTrue(refusal.contains("model.name was policy and is other now"), refusal);
    assertTrue(refusal.contains("flink.parallelism was 1 and is 2 now"), refusal);
    assertTrue(refusal.contains("--fresh"), refusal);
    JobRuns.LastRun savepoint =
        new JobRuns.LastRun(new SavedState("s", 4, true), true, last.settings());
    assertEquals(
        List.of("flink.parallelism was 1 and is 2 now"),
        settings(Map.of("ppo.kl", "0.01", "model.name", "policy", "flink.parallelism", "2"))
            .changesSince(savepoint),
        "after a savepoint the parallelism may change");
  }

  @Test
  void anInitialModelMayMoveButNotChange() {
    JobRuns.LastRun last =
        new JobRuns.LastRun(
            new SavedState("s", 4, true),
            false,
            new TreeMap<>(Map.of("model.initial", "/a", RunSettings.MODEL, "d1")));
    assertEquals(
        List.of(),
        settings(Map.of("model.initial", "/b", RunSettings.MODEL, "d1")).changesSince(last));
    IllegalArgumentException changed =
        assertThrows(
            IllegalArgumentException.class,
            () ->
                settings(Map.of("model.initial", "/a", RunSettings.MODEL, "d2"))
                    .changesSince(last));
    assertTrue(
        changed.getMessage().contains("the files of model.initial /a are others than at the last"),
        changed.getMessage());
  }
}
