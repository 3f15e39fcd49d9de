package io.millrace.model.checkpoint;

import io.millrace.model.llama.LlamaConfig;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * The description of a checkpoint without its weights, which need not exist.
 *
 * @param kind policy or reward model, from {@code config.json}
 * @param config the model's shape
 * @param manifest empty for directories of other origin
 */
public record CheckpointOutline(
    CheckpointKind kind, LlamaConfig config, Optional<CheckpointManifest> manifest) {

  /**
   * Reads {@code config.json}, {@code generation_config.json} and {@code millrace.json}.
   *
   * @throws CheckpointException if the first is missing, or if one is malformed or not supported
   */
  public static CheckpointOutline read(Path dir) {
    if (!Files.isDirectory(dir)) {
      throw CheckpointException.of(dir, "no such directory");
    }
    Path configFile = dir.resolve(CheckpointDirectory.CONFIG);
    CheckpointKind kind = CheckpointKind.read(configFile);
    LlamaConfig config = checked(configFile, () -> LlamaConfig.fromJson(configFile));
    Path generation = dir.resolve(CheckpointDirectory.GENERATION_CONFIG);
    if (Files.exists(generation)) {
      LlamaConfig own = config;
      config = checked(generation, () -> own.withGenerationConfig(generation));
    }
    Path manifestFile = dir.resolve(CheckpointManifest.FILE_NAME);
    if (!Files.exists(manifestFile)) {
      return new CheckpointOutline(kind, config, Optional.empty());
    }
    CheckpointManifest manifest = CheckpointManifest.read(manifestFile);
    if (manifest.kind() != kind) {
      throw CheckpointException.of(
          manifestFile, "kind is " + manifest.kind() + " but config.json describes a " + kind);
    }
    return new CheckpointOutline(kind, config, Optional.of(manifest));
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
