package io.millrace.jobs.config;

import java.io.Serializable;
import java.time.Duration;

/** Where model checkpoints are published. */
public record CheckpointSection(
    @Option(
            value = "millrace-data/checkpoints",
            help = "Directory under which each model has one directory per version.")
        String directory,
    @Option(
            value = "0",
            help =
                "How many of the newest versions of each model stay; 0: all. The first version"
                    + " and model.initial always stay.")
        int keep,
    @Option(value = "0", help = "Versions divisible by this stay for good; 0: none do.")
        long keepEvery,
    @Option(
            value = "1d",
            help =
                "How long a version stays after the one was written that pushed it out of the"
                    + " newest. Longer than a reader takes to load a version, or a job stands"
                    + " still before it resumes.")
        Duration keepFor)
    implements Serializable {

  public CheckpointSection {
    Require.present("directory", directory);
    Require.atLeast("keep", keep, 0);
    Require.atLeast("keep-every", keepEvery, 0);
  }

  CheckpointSection withDirectory(String newDirectory) {
    return new CheckpointSection(newDirectory, keep, keepEvery, keepFor);
  }
}
