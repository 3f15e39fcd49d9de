package io.millrace.jobs.config;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import java.time.Duration;
import org.apache.flink.configuration.MemorySize;

/** Where model checkpoints are published. */
public record CheckpointSection(
    @Option(
            value = "millrace-data/checkpoints",
            help =
                "Directory under which each model has one directory per version: a path that every"
                    + " machine sees, or a URI of a file system that Flink has, such as"
                    + " s3://bucket/checkpoints.",
            required = true,
            path = true)
        String directory,
    @Option(
            value = "0",
            help =
                "How many of the newest versions of each model stay; 0: all. The first version,"
                    + " model.initial, the promoted version and the one promoted before it always"
                    + " stay.",
            min = "0")
        int keep,
    @Option(value = "0", help = "Versions divisible by this stay for good; 0: none do.", min = "0")
        long keepEvery,
    @Option(
            value = "1d",
            help =
                "How long a version stays after the one was written that pushed it out of the"
                    + " newest. Longer than a reader takes to load a version, or a job stands"
                    + " still before it resumes.")
        Duration keepFor,
    @Option(
            value = "millrace-data/cache",
            help =
                "Directory of each machine for copies of checkpoints that lie on others, and for"
                    + " those on their way there.",
            required = true,
            path = true)
        String cacheDirectory,
    @Option(
            value = "20gb",
            help =
                "Copies that nobody uses at the moment take up to this, the latest ones; what is in"
                    + " use stays however large it is.")
        MemorySize cacheSize)
    implements ConfigSection {

  public CheckpointSection {
    if (!CheckpointStore.isLocal(cacheDirectory)) {
      throw new IllegalArgumentException(
          "cache-directory must be a directory of this machine, not " + cacheDirectory);
    }
  }
}
