package io.millrace.cli.job;

import io.millrace.cli.option.ClusterOptions;
import io.millrace.cli.option.JobOptions;
import io.millrace.cli.option.ResumeOptions;
import io.millrace.cli.option.WaitingNotice;
import io.millrace.cluster.FlinkClient;
import io.millrace.cluster.JobView;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.runtime.jobgraph.JobGraph;
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
          + " summary as JSON. Without it, or with --detached, it returns when all tasks of the job"
          + " run.",
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
      JobStart starter = new JobStart(client);
      if (cluster.isOwn()) {
        // Another cluster may start TaskManagers when a job needs them.
        starter.requireSlots(ready.name(), JobStart.slotsNeeded(ready.graph(bounded)));
      }
      ResumeOptions.Start start = resume.begin(ready, bounded);
      WaitingNotice waiting = new WaitingNotice(ready.kafka(), start.graph(), System.err::println);
      JobGraph graph = start.graph().getJobGraph();
      start.run().save(graph);
      JobID job = client.submit(graph, start.restore());
      System.err.printf("submitted %s as %s to %s%n", ready.job().id(), job, client.rest());
      JobView view = starter.await(job);
      boolean wait = bounded && !detached;
      JobStatus last = wait ? awaitEnd(client, job, waiting) : view.job().status();
      if (last == JobStatus.FINISHED) {
        start.run().markEnded();
      }
      if (last.isGloballyTerminalState()) {
        String summary = ready.summary(client.result(job));
        if (wait) {
          System.out.println(summary);
        }
      } else if (!view.runsAll()) {
        System.err.printf(
            "millrace: %s was submitted and does not run yet; see 'millrace status', or end it with"
                + " 'millrace cancel %s'%n",
            ready.name(), ready.name());
        return 1;
      }
    }
    return 0;
  }

  /** Waits until a job has ended and returns its last status. */
  private static JobStatus awaitEnd(FlinkClient client, JobID job, WaitingNotice waiting)
      throws IOException, InterruptedException {
    JobStatus last = JobStatus.INITIALIZING;
    long answered = System.nanoTime();
    while (!last.isGloballyTerminalState()) {
      try {
        JobStatus status = client.status(job);
        answered = System.nanoTime();
        if (status != last) {
          System.err.printf("%s is %s%n", job, status);
          last = status;
        }
        waiting.check();
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
