package io.millrace.serve;

import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.CheckpointKind;
import io.millrace.model.checkpoint.CheckpointManifest;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.Parameters;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tensor.Backends;
import io.millrace.model.tokenizer.Tokenizer;
import io.millrace.model.tokenizer.training.ByteLevelBpeTrainer;
import java.nio.file.Path;

/** Checkpoints of a tiny policy with random weights, which differ by version. */
public final class TinyPolicy {

  /** Positions of the model. */
  public static final int POSITIONS = 256;

  private TinyPolicy() {}

  /**
   * Writes a version.
   *
   * @return digest of its manifest
   */
  public static String write(Path directory, long version) {
    return write(directory, version, 320);
  }

  /**
   * Writes a version with a vocabulary of a size; other sizes have other tokenizers.
   *
   * @return digest of its manifest
   */
  public static String write(Path directory, long version, int vocabulary) {
    try (Backend backend = Backends.openDefault();
        Tokenizer tokenizer = ByteLevelBpeTrainer.plainEnglish(vocabulary).tokenizer()) {
      LlamaConfig config =
          LlamaConfig.builder()
              .vocabSize(tokenizer.vocabSize())
              .hiddenSize(16)
              .layers(2)
              .heads(2)
              .kvHeads(1)
              .headDim(8)
              .ffnSize(24)
              .maxPositions(POSITIONS)
              .bosToken(tokenizer.bos())
              .eosToken(tokenizer.eos())
              .build();
      try (Parameters weights = Parameters.random(backend, config.parameters(), version + 1)) {
        return CheckpointDirectory.write(
            directory,
            config,
            ModelWeights.sources(weights),
            tokenizer::save,
            CheckpointManifest.describing(CheckpointKind.POLICY, "policy", version).build());
      }
    }
  }
}
