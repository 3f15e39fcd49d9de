package io.millrace.cli.bench;

import io.millrace.jobs.config.MillraceConfig;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.llama.ScalarModel;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.Objective;
import io.millrace.schemas.RewardCheckpoint;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.EnumMap;
import java.util.Map;

/** Untrained reward models of the benchmark's size. */
final class RewardModels {

  private RewardModels() {}

  /**
   * Writes a reward model of each objective, on the trunk of the initial model.
   *
   * @param directory parent of their directories
   * @return their announcements
   */
  static Map<Objective, RewardCheckpoint> write(MillraceConfig config, Path directory)
      throws IOException {
    Map<Objective, RewardCheckpoint> announcements = new EnumMap<>(Objective.class);
    Path initial = Path.of(config.model().initial());
    try (Backend backend = config.compute().open();
        Tokenizer tokenizer = Tokenizer.load(initial);
        CheckpointDirectory checkpoint = CheckpointDirectory.open(initial);
        LanguageModel trunk = ModelWeights.languageModel(backend, checkpoint)) {
      for (Objective objective : Objective.values()) {
        Path path = directory.resolve("reward-model-" + objective);
        try (ScalarModel model = ScalarModel.onTrunkOf(backend, trunk.config(), trunk.weights())) {
          CheckpointDirectory.write(
              path,
              trunk.config(),
              ModelWeights.sources(model.weights()),
              tokenizer::save,
              CheckpointManifest.describing(CheckpointKind.REWARD_MODEL, "reward", 1).build());
        }
        announcements.put(
            objective,
            RewardCheckpoint.newBuilder()
                .setObjective(objective)
                .setVersion(1)
                .setUri(path.toString())
                .setManifestSha256(CheckpointDirectory.manifestDigest(path))
                .setJudgments(0)
                .setMetrics(Map.of())
                .setTime(Instant.EPOCH)
                .build());
      }
    }
    return announcements;
  }
}
