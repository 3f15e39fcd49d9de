package io.millrace.model.checkpoint;

import io.millrace.model.llama.LlamaConfig;
import io.millrace.model.llama.LlamaConfig.ParameterSpec;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * The description of a checkpoint without its weights, which need not exist.
 *
 * @param kind policy or reward model, from {@code config.json}
 * @param config the model's shape
 * @param adapter the adapter, if the directory holds one in place of all weights
 * @param manifest empty for directories of other origin
 */
public record CheckpointOutline(
    CheckpointKind kind,
    LlamaConfig config,
    Optional<CheckpointAdapter> adapter,
    Optional<CheckpointManifest> manifest) {

  /** The checkpoint below the adapter, as the manifest names it. */
  public Optional<CheckpointManifest.Base> base() {
    return manifest.flatMap(CheckpointManifest::base);
  }

  /** The parameters in the directory, in the order of writing. */
  List<ParameterSpec> parameters() {
    return adapter
        .map(one -> one.parameters(kind, config))
        .orElseGet(() -> kind.parameters(config));
  }

  /**
   * Reads {@code config.json}, {@code generation_config.json}, {@code adapter_config.json} and
   * {@code millrace.json}.
   *
   * @throws CheckpointException if the first is missing, or if one is malformed or not supported
   */
  public static CheckpointOutline read(Path dir) {
    if (!Files.isDirectory(dir)) {
      throw CheckpointException.of(dir, "no such directory");
    }
    Path configFile = dir.resolve(CheckpointDirectory.CONFIG);
    Path adapterFile = dir.resolve(CheckpointAdapter.CONFIG);
    if (Files.exists(adapterFile) && !Files.exists(configFile)) {
      throw CheckpointException.of(
          dir,
          "holds an adapter without config.json; copy config.json and the tokenizer files of its"
              + " base into it");
    }
    CheckpointKind kind = CheckpointKind.read(configFile);
    int heads = kind.scoreHeads(configFile);
    LlamaConfig config =
        checked(configFile, () -> LlamaConfig.fromJson(configFile).withScoreHeads(heads));
    Path generation = dir.resolve(CheckpointDirectory.GENERATION_CONFIG);
    if (Files.exists(generation)) {
      LlamaConfig own = config;
      config = checked(generation, () -> own.withGenerationConfig(generation));
    }
    Optional<CheckpointAdapter> adapter =
        Files.exists(adapterFile)
            ? Optional.of(CheckpointAdapter.read(adapterFile, kind))
            : Optional.empty();
    Path manifestFile = dir.resolve(CheckpointManifest.FILE_NAME);
    if (!Files.exists(manifestFile)) {
      return new CheckpointOutline(kind, config, adapter, Optional.empty());
    }
    CheckpointManifest manifest = CheckpointManifest.read(manifestFile);
    if (manifest.kind() != kind) {
      throw CheckpointException.of(
          manifestFile, "kind is " + manifest.kind() + " but config.json describes a " + kind);
    }
    if (manifest.base().isPresent() != adapter.isPresent()) {
      throw CheckpointException.of(
          manifestFile,
          adapter.isPresent()
              ? "names no base although the directory holds an adapter"
              : "names a base although the directory has no adapter_config.json");
    }
    int offsets = manifest.scores().map(scale -> scale.headOffsets().size()).orElse(0);
    if (offsets > 0 && offsets != heads) {
      throw CheckpointException.of(
          manifestFile,
          "scores.headOffsets has %d numbers but config.json describes %d scalar heads"
              .formatted(offsets, heads));
    }
    return new CheckpointOutline(kind, config, adapter, Optional.of(manifest));
  }

  private static LlamaConfig checked(Path file, Supplier<LlamaConfig> read) {
    try {
      return read.get();
    } catch (IllegalArgumentException | UncheckedIOException e) {
      String message = e.getMessage();
      String prefix = file + ": ";
      throw CheckpointException.of(
          file, message.startsWith(prefix) ? message.substring(prefix.length()) : message, e);
    }
  }
}
