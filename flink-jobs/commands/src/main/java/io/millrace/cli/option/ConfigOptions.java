package io.millrace.cli.option;

import io.millrace.connectors.checkpoint.store.CheckpointCache;
import io.millrace.connectors.checkpoint.store.CheckpointStore;
import io.millrace.connectors.checkpoint.store.LocalCheckpoint;
import io.millrace.jobs.config.ConfigLoader;
import io.millrace.jobs.config.MillraceConfig;
import io.millrace.jobs.runtime.FileSystems;
import io.millrace.jobs.runtime.JobSettings;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Option;

/** The configuration of a command that runs no job; it holds the access to remote checkpoints. */
public final class ConfigOptions {

  @Option(
      names = "--config",
      description =
          "YAML file; this command uses its flink.properties and checkpoints"
              + " (docs/configuration.md).")
  private Path config;

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description =
          "Overrides an option of the file, such as flink.properties.s3.endpoint=…; may be"
              + " repeated.")
  private List<String> settings = new ArrayList<>();

  /** Loads the configuration with absolute paths. */
  public MillraceConfig load() {
    return ConfigLoader.load(
            Optional.ofNullable(config), settings, Optional.empty(), List.of(), problem -> {})
        .withAbsolutePaths();
  }

  /**
   * Opens a checkpoint; a remote one is copied to this machine.
   *
   * @param location a path or URI
   */
  public LocalCheckpoint open(String location) throws IOException {
    MillraceConfig loaded = load();
    if (!CheckpointStore.isLocal(location)) {
      FileSystems.initialize(loaded.flink().resolvedProperties());
    }
    return JobSettings.cache(loaded).open(location);
  }

  /** Checkpoints of any place, for the bases of adapters. */
  public CheckpointCache checkpoints() throws IOException {
    MillraceConfig loaded = load();
    FileSystems.initialize(loaded.flink().resolvedProperties());
    return JobSettings.cache(loaded);
  }
}
