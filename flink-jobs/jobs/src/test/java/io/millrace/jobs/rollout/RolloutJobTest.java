package io.millrace.jobs.rollout;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.jobs.Job;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RolloutJobTest {

  @TempDir private static Path directory;

  private static MillraceConfig config(int maxTokens) throws Exception {
    return InitialModel.ensure(
        ConfigLoader.load(
            Optional.empty(),
            List.of(
                "checkpoints.directory=" + directory,
                "model.hidden-size=16",
                "model.layers=1",
                "model.ffn-size=24",
                "model.max-positions=128",
                "rollout.max-tokens=" + maxTokens)));
  }

  /** Otherwise every prompt would become a dead letter. */
  @Test
  void responsesThatLeaveNoRoomForAPromptAreRefusedBeforeTheJobIsSubmitted() throws Exception {
    for (Job job : List.of(Job.ROLLOUT, Job.REJECTION_SAMPLING)) {
      MillraceConfig tooLong = config(256);
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> job.graph(tooLong, false));
      assertTrue(e.getMessage().startsWith("rollout.max-tokens must be at most 1"), e.getMessage());
      assertTrue(e.getMessage().contains("not 256"), e.getMessage());
      MillraceConfig fitting = config(64);
      assertDoesNotThrow(() -> job.graph(fitting, false));
    }
  }
}
