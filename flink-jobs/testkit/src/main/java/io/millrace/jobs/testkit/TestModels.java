package io.millrace.jobs.testkit;

import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.Parameters;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.schemas.Objective;
import io.millrace.schemas.RewardCheckpoint;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Checkpoints of random weights with the tokenizer and, but for the head, shape of another. */
public final class TestModels {

  private TestModels() {}

  public static Path policy(Path like, Path directory, long version) {
    return write(like, directory, version, CheckpointKind.POLICY, "policy", version);
  }

  public static Path rewardModel(Path like, Path directory, long version, long seed) {
    return write(like, directory, version, CheckpointKind.REWARD_MODEL, "reward", seed);
  }

  /**
   * Version 1 of both reward models, with their announcements.
   *
   * @param checkpoints directory of the checkpoints
   */
  public static List<RewardCheckpoint> rewardModels(Path like, Path checkpoints) {
    List<RewardCheckpoint> announcements = new ArrayList<>();
    for (Objective objective : Objective.values()) {
      Path model =
          rewardModel(
              like,
              checkpoints.resolve("reward-model-" + objective + "/v000001"),
              1,
              objective.ordinal());
      announcements.add(
          RewardCheckpoint.newBuilder()
              .setObjective(objective)
              .setVersion(1)
              .setUri(model.toString())
              .setManifestSha256(CheckpointDirectory.manifestDigest(model))
              .setJudgments(1)
              .setMetrics(Map.of())
              .setTime(Instant.EPOCH)
              .build());
    }
    return announcements;
  }

  /**
   * A checkpoint of any name.
   *
   * @param name in its manifest
   */
  public static Path named(
      Path like, Path directory, long version, CheckpointKind kind, String name) {
    return write(like, directory, version, kind, name, version);
  }

  private static Path write(
      Path like, Path directory, long version, CheckpointKind kind, String name, long seed) {
    try (Backend backend = Backends.openDefault();
        Tokenizer tokenizer = Tokenizer.load(like);
        CheckpointDirectory opened = CheckpointDirectory.open(like)) {
      LlamaConfig config = opened.config();
      try (Parameters weights =
          Parameters.random(
              backend,
              kind == CheckpointKind.POLICY ? config.parameters() : config.scalarParameters(),
              seed)) {
        CheckpointDirectory.write(
            directory,
            config,
            ModelWeights.sources(weights),
            tokenizer::save,
            CheckpointManifest.describing(kind, name, version).build());
      }
    }
    return directory;
  }
}
