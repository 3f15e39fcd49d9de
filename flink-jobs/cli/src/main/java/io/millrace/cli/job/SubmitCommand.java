package io.millrace.cli.job;

import io.millrace.cli.option.ClusterOptions;
import io.millrace.cli.option.JobOptions;
import io.millrace.cluster.FlinkClient;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.JobStatus;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code millrace submit}. */
@Command(
    name = "submit",
    mixinStandardHelpOptions = true,
    description = {
      "Gives a job (supervised, reward-model, rollout, ppo, rejection-sampling, evaluation) to a"
          + " cluster.",
      "With --bounded it waits until the job has come to the end of its topics, and prints a"
          + " summary as JSON; otherwise, or with --detached, it returns when the job is accepted.",
      "Paths in the configuration are relative to where this command runs, and must mean the same"
          + " on every machine of the cluster. Where the configuration names no Kafka it is the"
          + " cluster's own.",
    },
    footer = {
      "",
      "Examples:",
      "  millrace submit reward-model --config millrace.yaml",
      "  millrace submit ppo --config millrace.yaml --from-savepoint"
          + " millrace-data/cluster/savepoints/savepoint-1a2b3c",
    })
public final class SubmitCommand implements Callable<Integer> {

  /** A JobManager that died is back long before. */
  private static final Duration PATIENCE = Duration.ofMinutes(5);

  @Mixin private JobOptions options;
  @Mixin private ClusterOptions cluster;

  @Option(names = "--bounded", description = "Stop at the end of the topics as they stand now.")
  private boolean bounded;

  @Option(names = "--detached", description = "Do not wait for a bounded job to end.")
  private boolean detached;

  @Option(
      names = "--from-savepoint",
      paramLabel = "PATH",
      description = "Savepoint, or Flink checkpoint that a stopped job left, to go on from.")
  private Optional<String> savepoint;

  @Override
  public Integer call() throws Exception {
    try (FlinkClient client = cluster.client()) {
      client.taskManagers();
      JobOptions.Ready ready = options.ready(cluster.kafka());
      JobID job = client.submit(ready.graph(bounded), savepoint);
      System.err.printf("submitted %s as %s to %s%n", ready.job().id(), job, client.rest());
      boolean wait = bounded && !detached;
      if (await(client, job, wait).isGloballyTerminalState()) {
        String summary = ready.summary(client.result(job));
        if (wait) {
          System.out.println(summary);
        }
      }
    }
    return 0;
  }

  /**
   * Waits until a job has started, since it may fail at that, or until it has ended.
   *
   * @return how it stands then
   */
  private static JobStatus await(FlinkClient client, JobID job, boolean ended)
      throws IOException, InterruptedException {
    JobStatus last = JobStatus.INITIALIZING;
    long answered = System.nanoTime();
    while (!last.isGloballyTerminalState() && (ended || last == JobStatus.INITIALIZING)) {
      try {
        JobStatus status = client.status(job);
        answered = System.nanoTime();
        if (status != last) {
          System.err.printf("%s is %s%n", job, status);
          last = status;
        }
      } catch (IOException e) {
        if (System.nanoTime() - answered > PATIENCE.toNanos()) {
          throw e;
        }
      }
      TimeUnit.MILLISECONDS.sleep(200);
    }
    return last;
  }
}
