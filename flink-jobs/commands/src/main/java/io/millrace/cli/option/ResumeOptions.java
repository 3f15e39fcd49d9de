package io.millrace.cli.option;

import io.millrace.connectors.kafka.TopicAdmin;
import io.millrace.jobs.resume.JobRun;
import io.millrace.jobs.resume.JobRuns;
import io.millrace.jobs.resume.RunSettings;
import io.millrace.schemas.Topic;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.flink.core.execution.RecoveryClaimMode;
import org.apache.flink.runtime.jobgraph.SavepointRestoreSettings;
import org.apache.flink.streaming.api.graph.StreamGraph;
import picocli.CommandLine.Option;

/** Where a job begins: at the state of its last run, at a given one, or afresh. */
public final class ResumeOptions {

  @Option(
      names = "--from-savepoint",
      paramLabel = "PATH",
      description =
          "Savepoint or Flink checkpoint to continue from (default: the latest one of the job's"
              + " last run).")
  private Optional<String> savepoint = Optional.empty();

  @Option(
      names = "--fresh",
      description =
          "Start without the state of the last run. Records in flight at its end are not processed"
              + " again; the state stays on disk.")
  private boolean fresh;

  /**
   * A run that can be submitted.
   *
   * @param run its directory
   * @param graph of the job
   * @param restore where it continues
   */
  public record Start(JobRun run, StreamGraph graph, SavepointRestoreSettings restore) {}

  /**
   * Begins a run and prints on standard error where it continues.
   *
   * @throws IllegalArgumentException if the last run's state does not fit the options
   */
  public Start begin(JobOptions.Ready ready, boolean bounded) throws IOException {
    return begin(ready, bounded, savepoint.isPresent());
  }

  /**
   * Begins a run, see {@link #begin(JobOptions.Ready, boolean)}.
   *
   * @param keep whether the state stays after the run has one of its own
   */
  public Start begin(JobOptions.Ready ready, boolean bounded, boolean keep) throws IOException {
    if (fresh && savepoint.isPresent()) {
      throw new UserException("--fresh and --from-savepoint exclude each other; leave one out");
    }
    JobRuns runs = new JobRuns(ready.config().flink().stateDirectory(), ready.name());
    RunSettings settings =
        RunSettings.of(ready.config().only(ready.job().sections()), ready.kafkaCluster());
    Optional<JobRuns.LastRun> last =
        fresh || savepoint.isPresent() ? Optional.empty() : runs.resumable();
    if (last.isPresent()) {
      requireSameBound(ready, last.get(), bounded);
      List<String> changes = settings.changesSince(last.get());
      say("%s continues from its %s".formatted(ready.job().id(), last.get().state()));
      changes.forEach(ResumeOptions::say);
    } else if (savepoint.isPresent()) {
      say("%s continues from %s".formatted(ready.job().id(), savepoint.get()));
    } else {
      say(
          "%s starts afresh: %s"
              .formatted(
                  ready.job().id(),
                  fresh ? "--fresh" : "no earlier run has left a state in " + runs.directory()));
      if (!fresh && !runs.hasEnded()) {
        warnOfPrompts(ready, runs);
      }
    }
    Optional<String> from = last.map(found -> found.state().path()).or(() -> savepoint);
    JobRun run = runs.begin(bounded, from, settings);
    return new Start(
        run,
        ready.job().graph(ready.config().withStateDirectory(run.directory()), bounded),
        from.map(
                path ->
                    SavepointRestoreSettings.forPath(
                        path,
                        false,
                        // Flink deletes the state of the last run when a later one replaces it.
                        keep ? RecoveryClaimMode.NO_CLAIM : RecoveryClaimMode.CLAIM))
            .orElse(SavepointRestoreSettings.none()));
  }

  private static void requireSameBound(
      JobOptions.Ready ready, JobRuns.LastRun last, boolean bounded) {
    if (last.bounded() != bounded) {
      throw new UserException(
          last.bounded()
              ? "the last run of %s was --bounded and did not reach its end; finish it with --bounded, or start afresh with --fresh (its state: %s)"
                  .formatted(ready.job().id(), last.state())
              : "the last run of %s was endless, and its state cannot become that of a --bounded run; continue without --bounded, or start afresh with --fresh (its state: %s)"
                  .formatted(ready.job().id(), last.state()));
    }
  }

  /** A consumer group that has read records without a state may have left some unanswered. */
  private static void warnOfPrompts(JobOptions.Ready ready, JobRuns runs) throws IOException {
    try (TopicAdmin admin = new TopicAdmin(ready.kafka())) {
      Map<Integer, Long> positions = admin.groupPositions(ready.name(), Topic.PROMPTS);
      if (positions.values().stream().anyMatch(position -> position > 0)) {
        say(
            ("warning: consumer group %s has read prompts, but %s holds no state of that run."
                    + " Prompts in flight at its end stay unanswered; if the run had another"
                    + " flink.state-directory, set that one")
                .formatted(ready.name(), runs.directory()));
      }
    }
  }

  private static void say(String message) {
    System.err.println("millrace: " + message);
  }
}
