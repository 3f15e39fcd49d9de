package io.millrace.cli.job;

import io.millrace.cli.option.ClusterOptions;
import io.millrace.cluster.FlinkClient;
import io.millrace.cluster.FlinkClient.FlinkCheckpoints;
import io.millrace.cluster.FlinkClient.Running;
import java.io.IOException;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code millrace status}. */
@Command(
    name = "status",
    mixinStandardHelpOptions = true,
    description = "Prints the jobs of a cluster, each with its latest Flink checkpoint.",
    footer = {
      "",
      "Examples:",
      "  millrace status",
      "  millrace status ppo --rest http://flink:8081",
    })
public final class StatusCommand implements Callable<Integer> {

  @Parameters(
      paramLabel = "JOB",
      arity = "0..1",
      description = "Name of a job, or its id in Flink (default: all jobs).")
  private Optional<String> name;

  @Mixin private ClusterOptions cluster;

  @Override
  public Integer call() throws Exception {
    try (FlinkClient client = cluster.client()) {
      List<Running> jobs = name.isPresent() ? List.of(client.find(name.get())) : client.jobs();
      System.out.printf(
          "%d TaskManagers, %d jobs at %s%n", client.taskManagers(), jobs.size(), client.rest());
      for (Running job : jobs) {
        System.out.printf(
            "%-24s %-12s since %s  %s  %s%n",
            job.name(),
            job.status(),
            job.started().truncatedTo(ChronoUnit.SECONDS),
            job.id(),
            job.isAlive() ? checkpoints(client, job) : "");
      }
    }
    return 0;
  }

  private static String checkpoints(FlinkClient client, Running job) throws IOException {
    FlinkCheckpoints checkpoints = client.checkpoints(job.id());
    String restored = ", restored %d times".formatted(checkpoints.restored());
    return checkpoints
        .completed()
        .map(
            completed ->
                "last Flink checkpoint %d s ago at %s%s"
                    .formatted(
                        Duration.between(completed, Instant.now()).toSeconds(),
                        checkpoints.path().orElse("?"),
                        restored))
        .orElse("no Flink checkpoint yet" + restored);
  }
}
