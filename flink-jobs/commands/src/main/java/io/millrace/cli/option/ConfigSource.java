package io.millrace.cli.option;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Option;

/** Where a command takes its configuration from: a file, and settings on top. */
public final class ConfigSource {

  @Option(
      names = "--config",
      description = "YAML file with options (docs/configuration.md lists all).")
  private Path config;

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description = "Overrides an option of the file, such as ppo.kl=0.02; may be repeated.")
  private List<String> settings = new ArrayList<>();

  public Optional<Path> file() {
    return Optional.ofNullable(config);
  }

  public List<String> settings() {
    return List.copyOf(settings);
  }
}
