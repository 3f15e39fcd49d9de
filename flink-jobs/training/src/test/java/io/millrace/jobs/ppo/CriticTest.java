package io.millrace.jobs.ppo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.models.InitialModel;
import io.millrace.jobs.models.RuntimeSettings;
import io.millrace.jobs.testkit.TestModels;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CriticTest {

  @Test
  void expectsNothingAtFirstAndSeesWhatTheRewardModelSees(@TempDir Path directory)
      throws IOException {
    MillraceConfig config =
        InitialModel.ensure(
            ConfigLoader.load(
                Optional.empty(),
                List.of(
                    "checkpoints.directory=" + directory,
                    "model.hidden-size=16",
                    "model.layers=1",
                    "model.ffn-size=24")));
    Path files =
        TestModels.rewardModel(
            Path.of(config.model().initial()), directory.resolve("reward"), 1, 5);
    List<int[]> sequences = List.of(new int[] {1, 2, 3}, new int[] {4, 5});
    try (Backend backend = Backends.openDefault();
        CheckpointDirectory checkpoint = CheckpointDirectory.open(files);
        ScalarModel rewardModel = ModelWeights.rewardModel(backend, checkpoint);
        ScalarModel critic =
            PpoTrainers.critic(backend, new RuntimeSettings(config).checkpoints(), checkpoint)) {
      assertNotEquals(0, rewardModel.score(sequences)[0]);
      assertArrayEquals(new float[5], critic.infer(sequences, new int[] {0, 1, 2, 3, 4}));
      for (LlamaConfig.ParameterSpec spec : critic.weights().specs()) {
        if (!spec.name().equals(LlamaConfig.SCORE)) {
          assertArrayEquals(
              rewardModel.weights().get(spec.name()).toFloats(),
              critic.weights().get(spec.name()).toFloats(),
              spec.name());
        }
      }
    }
  }
}
