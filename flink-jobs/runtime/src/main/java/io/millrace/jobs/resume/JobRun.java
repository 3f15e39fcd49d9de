package io.millrace.jobs.resume;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import org.apache.flink.api.common.JobID;
import org.apache.flink.core.fs.Path;
import org.apache.flink.runtime.jobgraph.JobGraph;
import org.apache.flink.util.InstantiationUtil;

/**
 * One run of a job: a directory with the description of the run, and Flink's state below it. A run
 * is one submission; restarts of Flink belong to the same run.
 *
 * <pre>
 * run.json            how the run was started
 * JOBID/chk-N         its last Flink checkpoint
 * savepoint-…         savepoints
 * graph               the job as it was submitted to a cluster
 * stopped             path of the savepoint with which the run was stopped
 * ended               exists when the job reached the end of its input
 * </pre>
 */
public final class JobRun {

  private static final String DESCRIPTION = "run.json";
  private static final String STOPPED = "stopped";
  private static final String ENDED = "ended";
  private static final String GRAPH = "graph";
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path directory;

  private JobRun(Path directory) {
    this.directory = directory;
  }

  /** The run in a directory. */
  public static JobRun at(String directory) {
    return new JobRun(StateFiles.path(directory));
  }

  static JobRun at(Path directory) {
    return new JobRun(directory);
  }

  /** Directory of the run: of its Flink checkpoints and of its savepoints. */
  public String directory() {
    return directory.toString();
  }

  int number() {
    return Integer.parseInt(directory.getName());
  }

  void describe(RunDescription description) throws IOException {
    StateFiles.write(
        new Path(directory, DESCRIPTION),
        JSON.writerWithDefaultPrettyPrinter().writeValueAsString(description) + "\n");
  }

  /** How the run was started; empty if the process was killed before it wrote that. */
  Optional<RunDescription> description() throws IOException {
    Path file = new Path(directory, DESCRIPTION);
    Optional<String> text = StateFiles.read(file);
    try {
      return text.isEmpty()
          ? Optional.empty()
          : Optional.of(JSON.readValue(text.get(), RunDescription.class));
    } catch (JsonProcessingException e) {
      throw new IOException(
          "%s is damaged (%s); start afresh with --fresh, or continue with --from-savepoint PATH"
              .formatted(file, e.getOriginalMessage()),
          e);
    }
  }

  /** Records that the job reached the end of its input: there is nothing to continue. */
  public void markEnded() throws IOException {
    StateFiles.write(new Path(directory, ENDED), "");
  }

  /**
   * Records the savepoint with which the run was stopped.
   *
   * @param savepoint its path or URI, in any place
   */
  public void markStopped(String savepoint) throws IOException {
    StateFiles.write(new Path(directory, STOPPED), savepoint + "\n");
  }

  /** Keeps the job as it was submitted, so that {@link #graph} can submit it again. */
  public void save(JobGraph graph) throws IOException {
    StateFiles.write(new Path(directory, GRAPH), InstantiationUtil.serializeObject(graph));
  }

  /**
   * The job as it was submitted, with a new id.
   *
   * @throws IOException if the run did not keep it, or another version of Millrace did
   */
  public JobGraph graph() throws IOException {
    Path file = new Path(directory, GRAPH);
    try (InputStream in = file.getFileSystem().open(file)) {
      JobGraph graph = InstantiationUtil.deserializeObject(in, JobRun.class.getClassLoader());
      graph.setJobID(new JobID());
      return graph;
    } catch (ClassNotFoundException e) {
      throw new IOException("%s is of another version of Millrace: %s".formatted(file, e), e);
    }
  }

  /** Records that the job continues in this run after it was stopped. */
  public void markContinued() throws IOException {
    StateFiles.delete(new Path(directory, STOPPED));
  }

  /** Whether the job reached the end of its input. */
  boolean isEnded() throws IOException {
    return StateFiles.read(new Path(directory, ENDED)).isPresent();
  }

  /**
   * The latest state of the run.
   *
   * @throws IOException if the savepoint with which the run was stopped is gone
   */
  public Optional<SavedState> latest() throws IOException {
    Optional<String> stopped = StateFiles.read(new Path(directory, STOPPED));
    if (stopped.isPresent()) {
      String savepoint = stopped.get().strip();
      Optional<SavedState> state = StateFiles.state(StateFiles.path(savepoint));
      if (state.isEmpty()) {
        throw new IOException(
            "the job was stopped with savepoint %s, which is gone; restore it, name another with --from-savepoint PATH, or start afresh with --fresh"
                .formatted(savepoint));
      }
      return state;
    }
    return isEnded()
        ? Optional.empty()
        : states().stream().max(Comparator.comparingLong(SavedState::id));
  }

  /** Every complete Flink checkpoint and savepoint in the run's directory. */
  List<SavedState> states() throws IOException {
    List<SavedState> states = new ArrayList<>();
    for (Path child : StateFiles.directories(directory)) {
      StateFiles.state(child).ifPresent(states::add);
      for (Path grandchild : StateFiles.directories(child)) {
        if (grandchild.getName().startsWith("chk-")) {
          StateFiles.state(grandchild).ifPresent(states::add);
        }
      }
    }
    return states;
  }

  /** Deletes the run with its state. */
  public void delete() throws IOException {
    StateFiles.delete(directory);
  }
}
