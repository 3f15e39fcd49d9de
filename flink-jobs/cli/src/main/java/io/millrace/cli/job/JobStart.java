package io.millrace.cli.job;

import io.millrace.cli.option.UserException;
import io.millrace.cluster.FlinkClient;
import io.millrace.cluster.JobInspector;
import io.millrace.cluster.JobInspector.Slots;
import io.millrace.cluster.JobView;
import io.millrace.schemas.Plural;
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.flink.api.common.JobID;
import org.apache.flink.runtime.jobgraph.JobVertex;
import org.apache.flink.streaming.api.graph.StreamGraph;

/** Waits until a submitted job really runs. */
final class JobStart {

  /**
   * Within this time a job that was stopped has freed its slots, and a dead TaskManager is back.
   */
  private static final Duration SLOTS = Duration.ofSeconds(30);

  private static final Duration TASKS = Duration.ofMinutes(3);
  private static final long POLL_MILLIS = 200;

  private final FlinkClient client;
  private final JobInspector inspector;

  JobStart(FlinkClient client) {
    this.client = client;
    this.inspector = new JobInspector(client);
  }

  /** Number of slots that a job takes. */
  static int slotsNeeded(StreamGraph graph) {
    Map<Object, Integer> groups = new HashMap<>();
    for (JobVertex vertex : graph.getJobGraph().getVertices()) {
      groups.merge(vertex.getSlotSharingGroup(), vertex.getParallelism(), Math::max);
    }
    return groups.values().stream().mapToInt(Integer::intValue).sum();
  }

  /**
   * Waits for free slots.
   *
   * @throws UserException with the slots needed and free if there are too few
   */
  void requireSlots(String name, int needed) throws IOException, InterruptedException {
    long deadline = System.nanoTime() + SLOTS.toNanos();
    boolean reported = false;
    while (true) {
      Slots slots = inspector.slots();
      if (slots.free() >= needed) {
        return;
      }
      if (System.nanoTime() > deadline) {
        throw new UserException(
            "%s needs %s, and %d of %d are free at %s; stop or cancel a job, lower flink.parallelism, or start the cluster with more --slots or --task-managers. Nothing was submitted"
                .formatted(
                    name, Plural.of(needed, "slot"), slots.free(), slots.total(), client.rest()));
      }
      if (!reported) {
        System.err.printf(
            "millrace: %s needs %s, %d of %d are free; waiting up to %d s%n",
            name, Plural.of(needed, "slot"), slots.free(), slots.total(), SLOTS.toSeconds());
        reported = true;
      }
      TimeUnit.MILLISECONDS.sleep(POLL_MILLIS);
    }
  }

  /**
   * Waits until every task of a job runs, or the job has ended.
   *
   * @return the job; its tasks may not run yet if that takes longer than three minutes
   */
  JobView await(JobID job) throws IOException, InterruptedException {
    long deadline = System.nanoTime() + TASKS.toNanos();
    String last = "";
    JobView view = null;
    while (true) {
      try {
        view = view(job);
        String state = state(view);
        if (!state.equals(last)) {
          System.err.println("millrace: " + view.job().name() + " is " + state);
          last = state;
        }
        if (view.runsAll() || !view.job().isAlive() || System.nanoTime() > deadline) {
          return view;
        }
      } catch (IOException e) {
        if (System.nanoTime() > deadline) {
          throw e;
        }
      }
      TimeUnit.MILLISECONDS.sleep(POLL_MILLIS);
    }
  }

  private JobView view(JobID job) throws IOException {
    return inspector.view(client.running(job));
  }

  /** The state of a job in one line. */
  static String state(JobView view) {
    StringBuilder line = new StringBuilder(view.state());
    if (view.job().isAlive() && view.tasks() > 0) {
      line.append(" (%d of %d tasks run".formatted(view.runningTasks(), view.tasks()));
      if (view.deployedTasks() == 0 && view.slotsNeeded() > 0) {
        line.append("; it needs " + Plural.of(view.slotsNeeded(), "slot"));
      }
      line.append(')');
    }
    if (!view.runsAll()) {
      view.failure().ifPresent(failure -> line.append(": ").append(failure.cause()));
    }
    return line.toString();
  }
}
