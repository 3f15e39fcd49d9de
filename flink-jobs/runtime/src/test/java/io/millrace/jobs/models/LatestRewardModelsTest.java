package io.millrace.jobs.models;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.schemas.Objective;
import io.millrace.schemas.RewardCheckpoint;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LatestRewardModelsTest {

  @Test
  void nothingLearnsFromTheRewardModelsThatJudge(@TempDir Path directory) throws Exception {
    LatestRewardModels optimised = new LatestRewardModels();
    LatestRewardModels judges = new LatestRewardModels(true);
    for (Objective objective : Objective.values()) {
      RewardCheckpoint judge = announcement(directory, objective, 5, true);
      assertFalse(optimised.offer(judge));
      assertTrue(judges.offer(judge));
      RewardCheckpoint other = announcement(directory, objective, 4, false);
      assertTrue(optimised.offer(other));
      assertFalse(judges.offer(other));
    }
    assertEquals(4, optimised.pair().orElseThrow().helpfulness().version());
    assertEquals(5, judges.pair().orElseThrow().safety().version());
    LatestRewardModels restored = new LatestRewardModels(true);
    restored.restore(judges.state());
    assertEquals(judges.pair(), restored.pair());
  }

  private static RewardCheckpoint announcement(
      Path directory, Objective objective, long version, boolean judge) throws Exception {
    Path files = Files.createDirectories(directory.resolve(objective + "-" + judge));
    return RewardCheckpoint.newBuilder()
        .setObjective(objective)
        .setVersion(version)
        .setUri(files.toUri().toString())
        .setManifestSha256("")
        .setJudgments(1)
        .setJudge(judge)
        .build();
  }
}
