package io.millrace.jobs.models;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.config.ModelSection;
import io.millrace.jobs.runtime.JobSettings;
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
import io.millrace.model.tokenizer.training.TrainedTokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/** The checkpoint that a job starts from. */
public final class InitialModel {

  private InitialModel() {}

  /**
   * The configuration with a directory to start from: the one it names, or a new model with random
   * weights and a tokenizer trained on plain English, made under the checkpoint directory.
   */
  public static MillraceConfig ensure(MillraceConfig config) throws IOException {
    if (!config.model().initial().isBlank()) {
      return config;
    }
    ModelSection model = config.model();
    // Named by what it is made from, so that every job of a deployment starts from the same one.
    String name =
        "initial/h%d-l%d-a%d-k%d-f%d-v%d-p%d-s%d"
            .formatted(
                model.hiddenSize(),
                model.layers(),
                model.heads(),
                model.kvHeads(),
                model.ffnSize(),
                model.vocabSize(),
                model.maxPositions(),
                model.seed());
    String root = config.checkpoints().directory();
    if (!CheckpointStore.isLocal(root)) {
      return config.withInitial(
          JobSettings.store(config).create(name, work -> write(model, plainEnglish(model), work)));
    }
    Path directory = CheckpointStore.localPath(root).resolve(name);
    if (!Files.isDirectory(directory)) {
      create(model, directory);
    }
    return config.withInitial(directory.toString());
  }

  /**
   * Makes a model of random weights.
   *
   * @param trained its tokenizer
   * @param directory to make, absolute
   */
  public static void create(ModelSection model, TrainedTokenizer trained, Path directory)
      throws IOException {
    Files.createDirectories(directory.getParent());
    Path staging = Files.createTempDirectory(directory.getParent(), ".new");
    write(model, trained, staging);
    Files.move(staging, directory, StandardCopyOption.ATOMIC_MOVE);
  }

  /**
   * Makes a model of random weights with a tokenizer trained on plain English.
   *
   * @param directory to make, absolute
   */
  public static void create(ModelSection model, Path directory) throws IOException {
    create(model, plainEnglish(model), directory);
  }

  private static TrainedTokenizer plainEnglish(ModelSection model) {
    return ByteLevelBpeTrainer.plainEnglish(model.vocabSize());
  }

  private static void write(ModelSection model, TrainedTokenizer trained, Path staging)
      throws IOException {
    try (Tokenizer tokenizer = trained.tokenizer();
        Backend backend = Backends.openDefault()) {
      LlamaConfig config = model.shape(tokenizer.vocabSize(), tokenizer.bos(), tokenizer.eos());
      try (Parameters weights = Parameters.random(backend, config.parameters(), model.seed())) {
        CheckpointDirectory.write(
            staging,
            config,
            ModelWeights.sources(weights),
            tokenizer::save,
            CheckpointManifest.describing(CheckpointKind.POLICY, model.name(), 0).build());
      }
    }
  }
}
