package io.millrace.cli.job;

import io.millrace.cli.option.ClusterOptions;
import io.millrace.cli.option.JobOptions;
import io.millrace.cli.option.ResumeOptions;
import io.millrace.cluster.FlinkClient;
import java.io.IOException;
import java.time.Duration;
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
      "Submits a job to a cluster.",
      "With --bounded, the command waits until the job reaches the end of its topics and prints a"
          + " summary as JSON. Without it, or with --detached, it returns when the job runs.",
      "The job continues from the latest savepoint or Flink checkpoint of its last run.",
      "Relative paths in the configuration start at this command's working directory; every machine"
          + " of the cluster must see them. kafka.bootstrap-servers defaults to the cluster's own"
          + " Kafka.",
    },
    footer = {
      "",
      "Examples:",
      "  millrace submit reward-model --config millrace.yaml",
      "  millrace submit ppo --config millrace.yaml --from-savepoint"
          + " millrace-data/cluster/savepoints/savepoint-1a2b3c",
    })
public final class SubmitCommand implements Callable<Integer> {

  /** Longest time without an answer; a JobManager that died is back much earlier. */
  private static final Duration PATIENCE = Duration.ofMinutes(5);

  @Mixin private JobOptions options;
  @Mixin private ClusterOptions cluster;

  @Option(names = "--bounded", description = "Stop at the current end of the topics.")
  private boolean bounded;

  @Option(names = "--detached", description = "Do not wait for the end of a bounded job.")
  private boolean detached;

  @Mixin private ResumeOptions resume;

  @Override
  public Integer call() throws Exception {
    try (FlinkClient client = cluster.client()) {
      client.taskManagers();
      JobOptions.Ready ready = options.ready(cluster.kafka());
      client.requireNoOther(ready.name());
      ResumeOptions.Start start = resume.begin(ready, bounded);
      JobID job = client.submit(start.graph(), start.restore());
      System.err.printf("submitted %s as %s to %s%n", ready.job().id(), job, client.rest());
      boolean wait = bounded && !detached;
      JobStatus last = await(client, job, wait);
      if (last == JobStatus.FINISHED) {
        start.run().markEnded();
      }
      if (last.isGloballyTerminalState()) {
        String summary = ready.summary(client.result(job));
        if (wait) {
          System.out.println(summary);
        }
      }
    }
    return 0;
  }

  /**
   * Waits until a job has started or ended.
   *
   * @param ended whether to wait for its end
   * @return the last status
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
