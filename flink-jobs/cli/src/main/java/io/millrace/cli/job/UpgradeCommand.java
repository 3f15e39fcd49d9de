package io.millrace.cli.job;

import io.millrace.cli.option.ClusterOptions;
import io.millrace.cli.option.JobOptions;
import io.millrace.cli.option.ResumeOptions;
import io.millrace.cli.option.UserException;
import io.millrace.cluster.FlinkClient;
import io.millrace.cluster.FlinkClient.Running;
import io.millrace.cluster.JobInspector;
import io.millrace.cluster.JobView;
import io.millrace.jobs.resume.JobRun;
import io.millrace.jobs.resume.JobRuns;
import io.millrace.jobs.resume.RunSettings;
import io.millrace.jobs.runtime.JobParameters;
import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.JobID;
import org.apache.flink.core.execution.RecoveryClaimMode;
import org.apache.flink.runtime.jobgraph.JobGraph;
import org.apache.flink.runtime.jobgraph.SavepointRestoreSettings;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** {@code millrace upgrade}. */
@Command(
    name = "upgrade",
    mixinStandardHelpOptions = true,
    description = {
      "Gives a running job another configuration: checks it, stops the job with a savepoint, and"
          + " submits it from there.",
      "If the job does not start with the new configuration, it continues with the earlier one,"
          + " from the same savepoint.",
    },
    footer = {
      "",
      "Example:",
      "  millrace upgrade ppo --config millrace.yaml --set ppo.learning-rate=5e-7",
    })
public final class UpgradeCommand implements Callable<Integer> {

  /** Until the first Flink checkpoint of the new run. */
  private static final Duration PATIENCE = Duration.ofMinutes(5);

  private static final int WENT_BACK = 1;

  @Mixin private JobOptions options;
  @Mixin private ClusterOptions cluster;

  @Override
  public Integer call() throws Exception {
    try (FlinkClient client = cluster.client()) {
      client.taskManagers();
      JobOptions.Ready ready = options.ready(cluster.kafka());
      Running old = client.find(ready.name());
      JobRuns runs = new JobRuns(ready.config().flink().stateDirectory(), ready.name());
      JobRun oldRun = requireUpgradable(client, ready, old, runs);

      String savepoint = JobStop.stop(client, old.id(), false, Optional.empty());
      System.err.printf("millrace: %s stopped with savepoint %s%n", ready.name(), savepoint);
      String problem;
      JobRun newRun = null;
      JobID job = null;
      try {
        ResumeOptions.Start start = new ResumeOptions().begin(ready, false, true);
        newRun = start.run();
        JobGraph graph = start.graph().getJobGraph();
        newRun.save(graph);
        job = client.submit(graph, start.restore());
        problem = awaitCheckpoint(client, job);
        if (problem.isEmpty()) {
          System.out.printf("%s runs with the new configuration as %s%n", ready.name(), job);
          return 0;
        }
      } catch (IOException | RuntimeException e) {
        problem = e.getMessage();
      }
      if (job != null) {
        end(client, job);
        requireNothingCommitted(ready, newRun);
      }
      System.err.printf(
          "millrace: %s does not start with the new configuration (%s); going back%n",
          ready.name(), problem);
      goBack(client, oldRun, newRun, savepoint);
      System.err.printf("millrace: %s runs with its earlier configuration%n", ready.name());
      return WENT_BACK;
    }
  }

  /** A new run that has committed output stays: the old one would commit the same records again. */
  private static void requireNothingCommitted(JobOptions.Ready ready, JobRun run)
      throws IOException {
    if (run.latest().isPresent()) {
      throw new IOException(
          "%s failed after its first Flink checkpoint with the new configuration, so that it cannot go back; correct the configuration and submit it: it continues from %s"
              .formatted(ready.name(), run.latest().get()));
    }
  }

  /** Refuses what cannot work, before anything is stopped. */
  private JobRun requireUpgradable(
      FlinkClient client, JobOptions.Ready ready, Running old, JobRuns runs) throws IOException {
    JobView view = new JobInspector(client).view(old);
    String run = view.parameters().get(JobParameters.RUN);
    if (run == null || !JobRun.at(run).directory().startsWith(runs.directory())) {
      throw new UserException(
          "%s has its state in %s, not below flink.state-directory %s; set the same directory"
              .formatted(ready.name(), run, ready.config().flink().stateDirectory()));
    }
    RunSettings settings =
        RunSettings.of(ready.config().only(ready.job().sections()), ready.kafkaCluster());
    var _ = settings.changesSince(runs.afterSavepoint());
    // The graph of the new configuration, and that of the old one, must be there.
    int needed = JobStart.slotsNeeded(ready.graph(false));
    JobRun oldRun = JobRun.at(run);
    var _ = oldRun.graph();
    JobInspector.Slots slots = new JobInspector(client).slots();
    if (cluster.isOwn() && needed > slots.free() + view.slotsNeeded()) {
      throw new UserException(
          "%s needs %d slots, and %d are free without the job that runs; nothing was stopped"
              .formatted(ready.name(), needed, slots.free() + view.slotsNeeded()));
    }
    return oldRun;
  }

  /**
   * Waits for the first Flink checkpoint of a job.
   *
   * @return why there is none; empty if there is one
   */
  private static String awaitCheckpoint(FlinkClient client, JobID job)
      throws IOException, InterruptedException {
    JobInspector inspector = new JobInspector(client);
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (true) {
      String state;
      try {
        JobView view = inspector.view(client.running(job));
        if (view.checkpoint().isPresent()) {
          return "";
        }
        state = JobStart.state(view);
        if (!view.job().isAlive() || view.failure().isPresent()) {
          return state;
        }
      } catch (IOException e) {
        // A job that initializes has no statistics, and a JobManager that died is back soon.
        state = e.getMessage();
      }
      if (System.nanoTime() > deadline) {
        return "no Flink checkpoint within %d s: %s".formatted(PATIENCE.toSeconds(), state);
      }
      TimeUnit.MILLISECONDS.sleep(200);
    }
  }

  private static void end(FlinkClient client, JobID job) throws IOException, InterruptedException {
    if (!client.status(job).isGloballyTerminalState()) {
      client.cancel(job);
    }
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (!client.status(job).isGloballyTerminalState()) {
      if (System.nanoTime() > deadline) {
        throw new IOException("job %s does not end".formatted(job));
      }
      TimeUnit.MILLISECONDS.sleep(200);
    }
  }

  private static void goBack(FlinkClient client, JobRun oldRun, JobRun newRun, String savepoint)
      throws IOException, InterruptedException {
    if (newRun != null) {
      newRun.delete();
    }
    JobGraph graph = oldRun.graph();
    JobID job =
        client.submit(
            graph, SavepointRestoreSettings.forPath(savepoint, false, RecoveryClaimMode.NO_CLAIM));
    oldRun.markContinued();
    JobView view = new JobStart(client).await(job);
    if (!view.runsAll()) {
      throw new IOException(
          "%s does not run with its earlier configuration either: %s; its savepoint is %s"
              .formatted(graph.getName(), JobStart.state(view), savepoint));
    }
  }
}
