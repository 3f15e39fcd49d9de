package io.millrace.cli.job;

import io.millrace.jobs.resume.JobRun;
import io.millrace.jobs.runtime.LocalCluster;
import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeoutException;
import org.apache.flink.api.common.JobID;

/** Stops the job of this process with a savepoint when the process gets SIGTERM or SIGINT. */
final class StopOnSignal {

  /** A savepoint waits for the update in progress. */
  private static final Duration PATIENCE = Duration.ofSeconds(60);

  private final LocalCluster cluster;
  private final JobID job;
  private final String name;
  private final JobRun run;
  private final Thread hook = new Thread(this::stop, "stop-with-savepoint");
  private final CompletableFuture<Void> stopped = new CompletableFuture<>();
  private boolean jobEnded;
  private boolean signalled;

  private StopOnSignal(LocalCluster cluster, JobID job, String name, JobRun run) {
    this.cluster = cluster;
    this.job = job;
    this.name = name;
    this.run = run;
  }

  /** Watches for signals until {@link #ended}. */
  static StopOnSignal install(LocalCluster cluster, JobID job, String name, JobRun run) {
    StopOnSignal stop = new StopOnSignal(cluster, job, name, run);
    Runtime.getRuntime().addShutdownHook(stop.hook);
    return stop;
  }

  /**
   * Reports that the job has ended.
   *
   * @return whether it ended by itself; otherwise a signal stopped it, and this method returns when
   *     that is done
   */
  boolean ended() {
    synchronized (this) {
      jobEnded = true;
      if (!signalled) {
        return true;
      }
    }
    stopped.join();
    return false;
  }

  private void stop() {
    synchronized (this) {
      if (jobEnded) {
        return;
      }
      signalled = true;
    }
    try {
      say("stopping %s with a savepoint, for at most %d s".formatted(name, PATIENCE.toSeconds()));
      String savepoint = cluster.stop(job, run.directory(), PATIENCE);
      run.markStopped(savepoint);
      say(
          "%s stopped with savepoint %s; the same command continues from it"
              .formatted(name, savepoint));
    } catch (ExecutionException | TimeoutException | IOException e) {
      say(
          "%s took no savepoint (%s); the same command continues from the last Flink checkpoint"
              .formatted(name, reason(e)));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      stopped.complete(null);
    }
  }

  private static String reason(Exception e) {
    Throwable cause = e;
    while (cause.getCause() != null) {
      cause = cause.getCause();
    }
    return cause instanceof TimeoutException
        ? "the time is over"
        : String.valueOf(cause.getMessage());
  }

  private static void say(String line) {
    System.err.println("millrace: " + line);
  }
}
