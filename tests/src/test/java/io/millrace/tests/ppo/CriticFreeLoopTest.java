package io.millrace.tests.ppo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.demo.loop.Progress;
import io.millrace.demo.quickstart.Quickstart;
import io.millrace.demo.quickstart.QuickstartReport;
import io.millrace.demo.quickstart.QuickstartSettings;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointManifest;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The whole loop without a critic, through a failure of the PPO job while groups are open. */
class CriticFreeLoopTest {

  private static final int ITERATIONS = 3;
  private static final int BATCH = 64;

  @Test
  void theLoopLearnsFromWholeGroupsThroughAFailure(@TempDir Path directory) throws Exception {
    QuickstartSettings settings =
        QuickstartSettings.builder(1, directory)
            .demonstrations(160)
            .archive(64)
            .iterations(ITERATIONS)
            .heldOut(4)
            .failAtRollout(BATCH + 33)
            .options(
                List.of(
                    "ppo.advantage=grpo",
                    "ppo.kl-in=loss",
                    "ppo.kl-estimator=k3",
                    "ppo.loss-mean=responses",
                    "ppo.clip-high=0.28"))
            .build();
    AtomicReference<QuickstartReport> seen = new AtomicReference<>();
    ByteArrayOutputStream lines = new ByteArrayOutputStream();
    new Quickstart(settings, new Progress(new PrintStream(lines, true, StandardCharsets.UTF_8)))
        .run((report, _) -> seen.set(report));
    QuickstartReport report = seen.get();
    assertEquals(1, report.ppo().restarts(), () -> lines.toString(StandardCharsets.UTF_8));
    assertEquals(ITERATIONS * BATCH, report.consumed().rollouts());
    assertEquals(ITERATIONS * BATCH, report.ppo().learned());
    assertEquals(0, report.ppo().learnedTwice());
    assertEquals(1 + ITERATIONS, report.policy().last().version());

    List<Map<String, Double>> versions = new ArrayList<>();
    try (Stream<Path> files = Files.list(directory.resolve("checkpoints").resolve("policy"))) {
      for (Path version :
          files.filter(path -> path.getFileName().toString().startsWith("v")).sorted().toList()) {
        assertTrue(CheckpointDirectory.verify(version).isSound(), version.toString());
        try (CheckpointDirectory checkpoint = CheckpointDirectory.open(version)) {
          CheckpointManifest manifest = checkpoint.manifest().orElseThrow();
          if (manifest.metrics().containsKey("groups/size")) {
            versions.add(manifest.metrics());
          }
        }
      }
    }
    assertEquals(ITERATIONS, versions.size());
    for (Map<String, Double> metrics : versions) {
      assertTrue(metrics.get("groups/size") >= 2, metrics.toString());
      assertEquals(0, metrics.get("dropped/alone"));
      assertEquals(0, metrics.get("groups/incomplete"));
      assertTrue(metrics.get("groups/reward_deviation") > 0, metrics.toString());
      assertTrue(metrics.keySet().stream().noneMatch(name -> name.contains("value")));
    }
  }
}
