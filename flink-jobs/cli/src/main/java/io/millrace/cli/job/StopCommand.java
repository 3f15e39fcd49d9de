package io.millrace.cli.job;

import io.millrace.cli.option.ClusterOptions;
import io.millrace.cluster.FlinkClient;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code millrace stop}. */
@Command(
    name = "stop",
    mixinStandardHelpOptions = true,
    description = {
      "Stops a job with a savepoint and prints the savepoint's path.",
      "The next 'millrace submit JOB' continues from it.",
    },
    footer = {
      "",
      "Examples:",
      "  millrace stop ppo",
      "  millrace stop reward-model --drain",
    })
public final class StopCommand implements Callable<Integer> {

  @Parameters(paramLabel = "JOB", description = "Name of the job, or its id in Flink.")
  private String name;

  @Option(
      names = "--drain",
      description =
          "Learn from incomplete batches and publish first, as at the end of a bounded run. A"
              + " drained job cannot continue.")
  private boolean drain;

  @Option(
      names = "--to",
      paramLabel = "DIR",
      description =
          "Directory or URI of the savepoint (default: beside the job's Flink checkpoints; with"
              + " --drain, the cluster's savepoints/).")
  private Optional<String> directory;

  @Mixin private ClusterOptions cluster;

  @Override
  public Integer call() throws Exception {
    try (FlinkClient client = cluster.client()) {
      System.out.println(JobStop.stop(client, client.find(name).id(), drain, directory));
    }
    return 0;
  }
}
