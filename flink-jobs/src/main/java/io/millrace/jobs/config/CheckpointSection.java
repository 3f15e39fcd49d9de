package io.millrace.jobs.config;

import java.io.Serializable;

/** Where model checkpoints are published. */
public record CheckpointSection(
    @Option(
            value = "millrace-data/checkpoints",
            help = "Directory under which each model has one directory per version.")
        String directory)
    implements Serializable {

  public CheckpointSection {
    Require.present("directory", directory);
  }
}
