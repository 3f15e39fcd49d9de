package io.millrace.cli.option;

import io.millrace.cluster.ClusterDirectory;
import io.millrace.cluster.FlinkClient;
import io.millrace.cluster.Ports;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.util.Optional;
import picocli.CommandLine.Option;

/** Which cluster a command talks to. */
public final class ClusterOptions {

  public static final String DEFAULT_DIRECTORY = "millrace-data/cluster";

  @Option(
      names = "--cluster",
      paramLabel = "DIR",
      defaultValue = DEFAULT_DIRECTORY,
      description =
          "Directory of a cluster that 'millrace cluster' runs (default: ${DEFAULT-VALUE}).")
  private Path directory;

  @Option(
      names = "--rest",
      paramLabel = "URL",
      description =
          "REST address of any Flink cluster with Millrace's jars, in place of --cluster.")
  private URI rest;

  public FlinkClient client() throws IOException {
    return rest != null ? FlinkClient.at(rest) : FlinkClient.of(ports());
  }

  /** The cluster's own Kafka; none where an address was given. */
  public Optional<String> kafka() throws IOException {
    return rest != null ? Optional.empty() : Optional.of(ports().kafkaAddress());
  }

  private Ports ports() throws IOException {
    return new ClusterDirectory(directory)
        .ports()
        .orElseThrow(
            () ->
                new UserException(
                    "no cluster was started in %s; start one with: millrace cluster --dir %s, or name one with --rest URL"
                        .formatted(directory, directory)));
  }
}
