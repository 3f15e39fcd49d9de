package io.millrace.jobs.resume;

import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import org.apache.flink.core.fs.Path;

/**
 * The runs of a job below {@code flink.state-directory}, each in a directory {@code NAME/000001},
 * {@code NAME/000002} and so on.
 */
public final class JobRuns {

  private static final String NUMBER = "\\d{6,9}";

  private final Path root;

  /**
   * The runs of a job.
   *
   * @param stateDirectory {@code flink.state-directory}
   * @param name of the job in Flink
   */
  public JobRuns(String stateDirectory, String name) {
    this.root = new Path(StateFiles.path(stateDirectory), name);
  }

  private List<JobRun> runs() throws IOException {
    return new ArrayList<>(
        StateFiles.directories(root).stream()
            .filter(directory -> directory.getName().matches(NUMBER))
            .map(JobRun::at)
            .sorted(Comparator.comparingInt(JobRun::number))
            .toList());
  }

  /** The last run that was started. */
  private Optional<JobRun> last() throws IOException {
    for (JobRun run : runs().reversed()) {
      if (run.description().isPresent()) {
        return Optional.of(run);
      }
    }
    return Optional.empty();
  }

  /** Path or URI of the directory of all runs. */
  public String directory() {
    return root.toString();
  }

  /** Whether the last run reached the end of its input. */
  public boolean hasEnded() throws IOException {
    Optional<JobRun> last = last();
    return last.isPresent() && last.get().isEnded();
  }

  /**
   * Finds where a new run has to continue: the latest state of the last run, or the state from
   * which that run itself continued if it wrote none.
   *
   * @return what the last run left; empty if there was none, or if it reached the end of its input
   * @throws IOException if the state cannot be read
   */
  public Optional<LastRun> resumable() throws IOException {
    Optional<JobRun> last = last();
    if (last.isEmpty()) {
      return Optional.empty();
    }
    RunDescription description = last.get().description().orElseThrow();
    Optional<SavedState> state = last.get().latest();
    if (state.isEmpty() && description.from() != null && !last.get().isEnded()) {
      state = StateFiles.state(StateFiles.path(description.from()));
    }
    return state.map(found -> new LastRun(found, description.bounded(), description.settings()));
  }

  /**
   * The run of a job that is alive, as it will be after a stop with a savepoint.
   *
   * @throws IOException if the run is not known
   */
  public LastRun afterSavepoint() throws IOException {
    RunDescription description =
        last()
            .orElseThrow(
                () ->
                    new IOException(
                        "%s knows no run of the job; stop it and submit it instead"
                            .formatted(root)))
            .description()
            .orElseThrow();
    return new LastRun(
        new SavedState("(to be taken)", 0, true), description.bounded(), description.settings());
  }

  /**
   * What the last run of a job left.
   *
   * @param state its latest state
   * @param bounded whether it was to stop at the end of its topics
   * @param settings what it was started with
   */
  public record LastRun(SavedState state, boolean bounded, SortedMap<String, String> settings) {}

  /**
   * Begins a run and deletes the directories of earlier runs that hold no state any more.
   *
   * @param from path or URI of the state that it continues from
   */
  public JobRun begin(boolean bounded, Optional<String> from, RunSettings settings)
      throws IOException {
    List<JobRun> earlier = runs();
    int number = earlier.isEmpty() ? 1 : earlier.getLast().number() + 1;
    JobRun run = JobRun.at(new Path(root, "%06d".formatted(number)));
    run.describe(
        new RunDescription(
            Instant.now().toString(), bounded, from.orElse(null), settings.values()));
    for (JobRun old : earlier) {
      // The state of a run before a fresh start stays, and so does the state to continue from.
      if (old.states().isEmpty()) {
        old.delete();
      }
    }
    return run;
  }
}
