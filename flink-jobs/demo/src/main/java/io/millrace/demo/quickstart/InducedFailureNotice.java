package io.millrace.demo.quickstart;

import io.millrace.demo.loop.Progress;
import java.util.Locale;
import org.apache.flink.api.common.JobStatus;

/** Prints that the PPO job failed because the user asked for it, and that it runs again. */
final class InducedFailureNotice {

  private enum State {
    EXPECTED,
    FAILED,
    OVER
  }

  private final long rollout;
  private final Progress progress;
  private State state;
  private long failed;

  /**
   * @param rollout at which the job fails; 0 for never
   */
  InducedFailureNotice(long rollout, Progress progress) {
    this.rollout = rollout;
    this.progress = progress;
    this.state = rollout == 0 ? State.OVER : State.EXPECTED;
  }

  /** Takes the job's present status. */
  void see(JobStatus status) {
    if (state == State.EXPECTED && status == JobStatus.RESTARTING) {
      state = State.FAILED;
      failed = System.nanoTime();
      progress.line(
          "    the PPO job failed at rollout %d, as --fail-at-rollout asks; Flink restarts it"
              .formatted(rollout));
    } else if (state == State.FAILED && status == JobStatus.RUNNING) {
      state = State.OVER;
      progress.line(
          String.format(
              Locale.ROOT,
              "    the PPO job runs again from its last Flink checkpoint, %.1f s after the failure",
              (System.nanoTime() - failed) / 1e9));
    }
  }
}
