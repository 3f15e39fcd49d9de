package io.millrace.cli.job;

import io.millrace.cli.option.ClusterOptions;
import io.millrace.cluster.FlinkClient;
import io.millrace.cluster.FlinkClient.Running;
import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/** {@code millrace cancel}. */
@Command(
    name = "cancel",
    mixinStandardHelpOptions = true,
    description = {
      "Ends a job at once, without a savepoint: one that waits for slots, or restarts again and"
          + " again.",
      "Its last Flink checkpoint stays, and the next 'millrace submit JOB' continues from it. To"
          + " end a job that runs, prefer 'millrace stop'.",
    },
    footer = {
      "",
      "Example:",
      "  millrace cancel ppo",
    })
public final class CancelCommand implements Callable<Integer> {

  private static final Duration PATIENCE = Duration.ofMinutes(3);

  @Parameters(paramLabel = "JOB", description = "Name of the job, or its id in Flink.")
  private String name;

  @Mixin private ClusterOptions cluster;

  @Override
  public Integer call() throws Exception {
    try (FlinkClient client = cluster.client()) {
      Running job = client.find(name);
      client.cancel(job.id());
      long deadline = System.nanoTime() + PATIENCE.toNanos();
      while (!client.status(job.id()).isGloballyTerminalState()) {
        if (System.nanoTime() > deadline) {
          System.err.printf(
              "millrace: %s is still %s; it ends when its tasks have ended (millrace status)%n",
              job.name(), client.status(job.id()));
          return 1;
        }
        TimeUnit.MILLISECONDS.sleep(100);
      }
      System.out.printf("%s is %s%n", job.name(), client.status(job.id()));
    }
    return 0;
  }
}
