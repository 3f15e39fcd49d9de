package io.millrace.campaign.record;

import com.fasterxml.jackson.annotation.JsonIgnore;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonSetter;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import com.fasterxml.jackson.annotation.Nulls;
import io.millrace.demo.loop.GoldScores.Example;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A stage in the record of a campaign. In JSON the fields of {@code run} and {@code result} stand
 * beside the other fields.
 *
 * @param id unique in the campaign, such as {@code v3-ppo}
 * @param version the version that the stage belongs to; 0 is the chat checkpoint
 * @param title the stage's work in words
 * @param run when and how often it ran
 * @param start versions and offsets from which it started, by name
 * @param result its result; empty while it runs
 */
public record StageRecord(
    String id,
    int version,
    String title,
    @JsonUnwrapped Run run,
    Map<String, Long> start,
    @JsonUnwrapped StageResult result) {

  /** The id is also the name of a file. */
  public StageRecord {
    if (!id.matches("[A-Za-z0-9][A-Za-z0-9_-]*")) {
      throw new IllegalArgumentException(
          "the id of a stage has letters, digits, '-' and '_', not '%s'".formatted(id));
    }
  }

  /** Whether a stage still runs. */
  public enum State {
    RUNNING,
    DONE
  }

  /**
   * When and how often a stage ran.
   *
   * @param attempts how often it was begun
   * @param started time of its first beginning, ISO 8601
   * @param finished time of its end, ISO 8601; null while it runs
   * @param wallSeconds duration of the attempt that ended it; null while it runs
   */
  @JsonInclude(JsonInclude.Include.NON_NULL)
  public record Run(
      State state,
      int attempts,
      String started,
      @JsonSetter(nulls = Nulls.SET) String finished,
      @JsonSetter(nulls = Nulls.SET) @JsonProperty("wall_seconds") Double wallSeconds) {
    public Run {
      if ((state == State.DONE) != (finished != null && wallSeconds != null)) {
        throw new IllegalArgumentException(
            "a stage has finished and wall_seconds exactly when its state is DONE");
      }
    }
  }

  /** A stage that begins now. */
  public static StageRecord begun(
      String id, int version, String title, String now, Map<String, Long> start) {
    Run run = new Run(State.RUNNING, 1, now, null, null);
    return new StageRecord(id, version, title, run, start, StageResult.EMPTY);
  }

  /** The same stage in another attempt. */
  public StageRecord again() {
    return with(
        new Run(State.RUNNING, run.attempts() + 1, run.started(), null, null), StageResult.EMPTY);
  }

  /** The same stage with its result. */
  public StageRecord done(String now, double seconds, StageResult finalResult) {
    return with(new Run(State.DONE, run.attempts(), run.started(), now, seconds), finalResult);
  }

  private StageRecord with(Run newRun, StageResult newResult) {
    return new StageRecord(id, version, title, newRun, start, newResult);
  }

  /** Whether the stage has its result. */
  @JsonIgnore
  public boolean isDone() {
    return run.state() == State.DONE;
  }

  /** How often the stage was begun. */
  public int attempts() {
    return run.attempts();
  }

  /** Counts of consumed records by kind. */
  public Map<String, Long> consumed() {
    return result.consumed();
  }

  /** Counts of produced records by kind. */
  public Map<String, Long> produced() {
    return result.produced();
  }

  /** Published checkpoints. */
  public List<CheckpointRef> checkpoints() {
    return result.checkpoints();
  }

  /** Metrics by name. */
  public Map<String, Double> metrics() {
    return result.metrics();
  }

  /** Prompts and responses for people to read. */
  public List<Example> examples() {
    return result.examples();
  }

  /** The published checkpoint of a role. */
  public Optional<CheckpointRef> checkpoint(String role) {
    return checkpoints().stream().filter(ref -> ref.role().equals(role)).findFirst();
  }
}
