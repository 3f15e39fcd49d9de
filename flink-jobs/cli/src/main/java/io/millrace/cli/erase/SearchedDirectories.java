package io.millrace.cli.erase;

import io.millrace.campaign.CampaignSection;
import io.millrace.cli.option.ClusterOptions;
import io.millrace.jobs.config.MillraceConfig;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Where jobs of a deployment leave files. */
final class SearchedDirectories {

  /** Defaults of {@code millrace broker} and {@code quickstart}. */
  private static final List<String> DEFAULTS =
      List.of(ClusterOptions.DEFAULT_DIRECTORY, "millrace-data/kafka", "millrace-data/quickstart");

  private SearchedDirectories() {}

  /**
   * The directories as paths or URIs; some may not exist.
   *
   * @param cluster directory of a cluster
   * @param more directories that the user names
   */
  static List<String> of(MillraceConfig config, Optional<Path> cluster, List<Path> more) {
    List<String> locations = new ArrayList<>();
    locations.add(config.checkpoints().directory());
    locations.add(config.checkpoints().cacheDirectory());
    locations.add(config.flink().stateDirectory());
    locations.add(config.section(CampaignSection.class).directory());
    Optional.ofNullable(config.flink().properties().get("execution.checkpointing.savepoint-dir"))
        .ifPresent(locations::add);
    cluster.ifPresent(directory -> locations.add(directory.toString()));
    more.forEach(directory -> locations.add(directory.toString()));
    locations.addAll(DEFAULTS);
    return locations;
  }
}
