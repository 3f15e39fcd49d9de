package io.millrace.cli.model;

import io.millrace.cli.option.ConfigOptions;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.jobs.models.BaseModels;
import io.millrace.jobs.runtime.Closing;
import io.millrace.model.chat.ChatTemplate;
import io.millrace.model.checkpoint.CheckpointDirectory;
import io.millrace.model.checkpoint.ModelWeights;
import io.millrace.model.llama.LanguageModel;
import io.millrace.model.tensor.Backend;
import io.millrace.model.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;

/** A policy checkpoint with its model and tokenizer in memory. */
public final class OpenPolicy implements AutoCloseable {

  private final LocalCheckpoint files;
  private final CheckpointDirectory directory;
  private final LanguageModel model;
  private final Tokenizer tokenizer;

  private OpenPolicy(
      LocalCheckpoint files,
      CheckpointDirectory directory,
      LanguageModel model,
      Tokenizer tokenizer) {
    this.files = files;
    this.directory = directory;
    this.model = model;
    this.tokenizer = tokenizer;
  }

  /**
   * Opens a checkpoint.
   *
   * @param location directory or URI
   */
  public static OpenPolicy open(Backend backend, ConfigOptions options, String location)
      throws IOException {
    LocalCheckpoint files = options.open(location);
    CheckpointDirectory directory = null;
    LanguageModel model = null;
    Tokenizer tokenizer = null;
    try {
      directory = CheckpointDirectory.open(files.directory());
      model = languageModel(backend, options, directory);
      tokenizer = Tokenizer.load(files.directory(), directory.config().maxPositions());
      tokenizer.requireFits(model.config().vocabSize());
      return new OpenPolicy(files, directory, model, tokenizer);
    } catch (RuntimeException | IOException e) {
      Closing.closeAll(tokenizer, model, directory, files);
      throw e;
    }
  }

  /** The model of an open checkpoint; the configuration is read only for the base of an adapter. */
  static LanguageModel languageModel(
      Backend backend, ConfigOptions options, CheckpointDirectory directory) throws IOException {
    return directory.adapter().isPresent()
        ? BaseModels.languageModel(backend, options.checkpoints(), directory)
        : ModelWeights.languageModel(backend, directory);
  }

  public LanguageModel model() {
    return model;
  }

  public Tokenizer tokenizer() {
    return tokenizer;
  }

  public ChatTemplate template() {
    return ChatTemplate.of(tokenizer);
  }

  /** Name and version, such as {@code policy v61}; for a foreign model its directory's name. */
  public String title() {
    return directory
        .manifest()
        .map(manifest -> manifest.name() + " v" + manifest.version())
        .orElseGet(
            () ->
                Optional.ofNullable(files.directory().getFileName())
                    .map(Path::toString)
                    .orElse("model"));
  }

  @Override
  public void close() {
    Closing.closeAll(tokenizer, model, directory, files);
  }
}
