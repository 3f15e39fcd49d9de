package io.millrace.tests;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.demo.loop.Progress;
import io.millrace.demo.quickstart.Quickstart;
import io.millrace.demo.quickstart.QuickstartReport;
import io.millrace.demo.quickstart.QuickstartSettings;
import io.millrace.model.checkpoint.CheckpointDirectory;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The whole loop, small, on a real broker and cluster, through a failure of the PPO job. */
class LoopTest {

  private static final int ITERATIONS = 4;
  private static final int BATCH = 64;

  @Test
  void theLoopTurnsThroughAFailureAndLearnsFromEveryRecordOnce(@TempDir Path directory)
      throws Exception {
    // In the third batch: something was learned before, something is half gathered.
    QuickstartSettings settings =
        QuickstartSettings.builder(1, directory)
            .demonstrations(320)
            .archive(128)
            .iterations(ITERATIONS)
            .heldOut(8)
            .failAtRollout(2 * BATCH + 50)
            .build();
    AtomicReference<QuickstartReport> seen = new AtomicReference<>();
    ByteArrayOutputStream lines = new ByteArrayOutputStream();
    new Quickstart(settings, new Progress(new PrintStream(lines, true, StandardCharsets.UTF_8)))
        .run((report, _) -> seen.set(report));
    QuickstartReport report = seen.get();
    String progress = lines.toString(StandardCharsets.UTF_8);
    assertTrue(
        progress.contains("the PPO job failed at rollout 178, as --fail-at-rollout asks"),
        progress);
    assertTrue(progress.contains("the PPO job runs again"), progress);

    assertEquals(1, report.ppo().restarts(), "the induced failure must have happened");
    assertEquals(report.produced(), report.consumed());
    assertEquals(ITERATIONS * BATCH, report.consumed().rollouts());
    assertEquals(ITERATIONS * BATCH, report.ppo().learned());
    assertEquals(0, report.ppo().learnedTwice());
    assertEquals(0, report.ppo().droppedStale());
    assertEquals(1, report.policy().first().version());
    assertEquals(1 + ITERATIONS, report.policy().last().version());
    assertTrue(Double.isFinite(report.policy().last().kl()));
    assertTrue(report.rewardModels().get("safety").accuracy().containsKey("all"));
    assertTrue(CheckpointDirectory.verify(Path.of(report.firstCheckpoint())).isSound());
    try (var versions = Files.list(directory.resolve("checkpoints").resolve("policy"))) {
      for (Path version :
          versions.filter(path -> path.getFileName().toString().startsWith("v")).toList()) {
        assertTrue(CheckpointDirectory.verify(version).isSound(), version.toString());
      }
    }
  }
}
