package io.millrace.jobs.config;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import java.time.Duration;
import java.util.List;
import org.apache.flink.configuration.MemorySize;

/** Where jobs publish model checkpoints. */
public record CheckpointSection(
    @Option(
            value = "millrace-data/checkpoints",
            help =
                "Directory of published model checkpoints, with one subdirectory for each model and"
                    + " version. Every machine must see the path; a URI such as"
                    + " `s3://bucket/checkpoints` needs Flink's plugin for that file system.",
            required = true,
            path = true)
        String directory,
    @Option(
            value = "20",
            help =
                "Number of newest versions that are kept of each model; 0 keeps all. The first"
                    + " version, `model.initial`, the promoted version, its predecessor and the"
                    + " best version are always kept.",
            min = "0",
            max = "1_000_000")
        int keep,
    @Option(
            value = "0",
            help = "Keeps every version whose number is a multiple of this; 0 turns the rule off.",
            min = "0",
            max = "1_000_000_000")
        long keepEvery,
    @Option(
            value = "1d",
            help =
                "How long a version stays after a newer one replaced it among the newest `keep`."
                    + " Make it longer than a reader needs to load a version and longer than any"
                    + " pause of a job.",
            min = "0ms",
            max = "365d")
        Duration keepFor,
    @Option(
            value = "millrace-data/cache",
            help =
                "Directory on each machine for copies of remote checkpoints and for checkpoints"
                    + " before their upload.",
            required = true,
            path = true,
            local = true)
        String cacheDirectory,
    @Option(
            value = "20gb",
            help =
                "Size limit of the copies that no task uses; the least recently used copies are"
                    + " deleted first.",
            min = "0b",
            max = "1024tb")
        MemorySize cacheSize,
    @Option(
            value = "",
            help =
                "Further directories or URIs under which announced checkpoints may lie, beside"
                    + " `directory`. Announcements of other checkpoints go to `dead-letters`.",
            path = true)
        List<String> otherRoots)
    implements ConfigSection {

  public CheckpointSection {
    otherRoots = List.copyOf(otherRoots);
    if (CheckpointStore.isLocal(directory)
        && CheckpointStore.localPath(directory)
            .toAbsolutePath()
            .normalize()
            .equals(CheckpointStore.localPath(cacheDirectory).toAbsolutePath().normalize())) {
      throw new IllegalArgumentException(
          "cache-directory and directory must differ, both are '%s'".formatted(directory));
    }
  }

  /** Whether an announced checkpoint lies under {@code directory} or another root. */
  public boolean contains(String uri) {
    return CheckpointStore.isUnder(directory, uri)
        || otherRoots.stream().anyMatch(root -> CheckpointStore.isUnder(root, uri));
  }
}
