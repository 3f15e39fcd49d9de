package io.millrace.cli.option;

import io.millrace.cluster.ClusterDirectory;
import io.millrace.cluster.FlinkClient;
import io.millrace.cluster.Ports;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.util.Optional;
import picocli.CommandLine.Option;

/** The cluster that a command talks to. */
public final class ClusterOptions {

  public static final String DEFAULT_DIRECTORY = "millrace-data/cluster";

  @Option(
      names = "--cluster",
      paramLabel = "DIR",
      defaultValue = DEFAULT_DIRECTORY,
      description =
          "Directory of a cluster started with 'millrace cluster' (default: ${DEFAULT-VALUE}).")
  private Path directory;

  @Option(
      names = "--rest",
      paramLabel = "URL",
      description =
          "REST address of any other Flink cluster with Millrace's jars; replaces --cluster.")
  private URI rest;

  /** Connects to the cluster. */
  public FlinkClient client() throws IOException {
    return rest != null ? FlinkClient.at(rest) : FlinkClient.of(ports());
  }

  /** Whether the cluster was started with 'millrace cluster'. */
  public boolean isOwn() {
    return rest == null;
  }

  /** The address of the cluster's own Kafka; empty with --rest. */
  public Optional<String> kafka() throws IOException {
    return rest != null ? Optional.empty() : Optional.of(ports().kafkaAddress());
  }

  /** Directory of the cluster; empty with --rest. */
  public Optional<ClusterDirectory> directory() {
    return rest != null ? Optional.empty() : Optional.of(new ClusterDirectory(directory));
  }

  /**
   * The address of the Kafka of the cluster in a directory.
   *
   * @throws UserException if there is no cluster
   */
  public static String kafkaOf(Path directory) throws IOException {
    return ports(directory).kafkaAddress();
  }

  private Ports ports() throws IOException {
    return ports(directory);
  }

  /**
   * The ports of the cluster in a directory.
   *
   * @throws UserException if there is none
   */
  private static Ports ports(Path directory) throws IOException {
    return new ClusterDirectory(directory)
        .ports()
        .orElseThrow(
            () ->
                new UserException(
                    "there is no cluster in %s; start one with 'millrace cluster --dir %s', or use --cluster or --rest"
                        .formatted(directory, directory)));
  }
}
