package io.millrace.cli.job;

import io.millrace.cluster.FlinkClient;
import io.millrace.cluster.JobInspector;
import io.millrace.cluster.JobView;
import io.millrace.jobs.resume.JobRun;
import io.millrace.jobs.runtime.JobParameters;
import java.io.IOException;
import java.util.Optional;
import org.apache.flink.api.common.JobID;

/** Stops a job of a cluster and records where it continues. */
final class JobStop {

  private JobStop() {}

  /**
   * Stops a job with a savepoint.
   *
   * @param drain whether the job ends for good, see {@link FlinkClient#stop}
   * @param directory of the savepoint; empty: the directory of the job's run
   * @return path or URI of the savepoint
   */
  static String stop(FlinkClient client, JobID job, boolean drain, Optional<String> directory)
      throws IOException {
    JobView view = new JobInspector(client).view(client.running(job));
    if (!view.runsAll()) {
      throw new IOException(
          "%s takes no savepoint while it is %s; wait until all tasks run, or end it without a savepoint: millrace cancel %s"
              .formatted(view.job().name(), JobStart.state(view), view.job().name()));
    }
    Optional<String> run = Optional.ofNullable(view.parameters().get(JobParameters.RUN));
    String savepoint = client.stop(job, drain, drain ? directory : directory.or(() -> run));
    if (run.isPresent()) {
      try {
        if (drain) {
          JobRun.at(run.get()).markEnded();
        } else {
          JobRun.at(run.get()).markStopped(savepoint);
        }
      } catch (IOException e) {
        System.err.printf(
            "millrace: the savepoint could not be recorded in %s (%s); name it when you submit the"
                + " job: --from-savepoint %s%n",
            run.get(), e.getMessage(), savepoint);
      }
    }
    return savepoint;
  }
}
