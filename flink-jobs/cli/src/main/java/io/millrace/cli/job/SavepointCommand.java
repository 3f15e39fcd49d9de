package io.millrace.cli.job;

import io.millrace.cli.option.ClusterOptions;
import io.millrace.cluster.FlinkClient;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code millrace savepoint}. */
@Command(
    name = "savepoint",
    mixinStandardHelpOptions = true,
    description = "Takes a savepoint of a running job and prints its path; the job continues.",
    footer = {
      "",
      "Example:",
      "  millrace savepoint ppo",
    })
public final class SavepointCommand implements Callable<Integer> {

  @Parameters(paramLabel = "JOB", description = "Name of the job, or its id in Flink.")
  private String name;

  @Option(
      names = "--to",
      paramLabel = "DIR",
      description = "Directory or URI of the savepoint (default: the cluster's savepoints/).")
  private Optional<String> directory;

  @Mixin private ClusterOptions cluster;

  @Override
  public Integer call() throws Exception {
    try (FlinkClient client = cluster.client()) {
      System.out.println(client.savepoint(client.find(name).id(), directory));
    }
    return 0;
  }
}
