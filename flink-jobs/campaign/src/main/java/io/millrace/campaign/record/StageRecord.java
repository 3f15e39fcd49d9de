package io.millrace.campaign.record;

import com.fasterxml.jackson.annotation.JsonIgnore;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.millrace.demo.loop.Measured.Example;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A stage as the campaign's record has it.
 *
 * @param version the version that it is part of; 0 is the chat checkpoint
 * @param attempts times that it was begun
 * @param started when it was first begun, ISO 8601
 * @param finished when its last attempt ended; null while it is under way
 * @param wallSeconds of the attempt that ended it
 * @param start what it started from, by name
 * @param consumed records by kind; this and what follows is empty while it is under way
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record StageRecord(
    String id,
    int version,
    String title,
    State state,
    int attempts,
    String started,
    String finished,
    @JsonProperty("wall_seconds") Double wallSeconds,
    Map<String, Long> start,
    Map<String, Long> consumed,
    Map<String, Long> produced,
    List<CheckpointRef> checkpoints,
    Map<String, Double> figures,
    List<String> notes,
    List<Example> said) {

  /** How far a stage is. */
  public enum State {
    RUNNING,
    DONE
  }

  public StageRecord {
    consumed = consumed == null ? Map.of() : consumed;
    produced = produced == null ? Map.of() : produced;
    checkpoints = checkpoints == null ? List.of() : List.copyOf(checkpoints);
    figures = figures == null ? Map.of() : figures;
    notes = notes == null ? List.of() : List.copyOf(notes);
    said = said == null ? List.of() : List.copyOf(said);
  }

  public static StageRecord begun(
      String id, int version, String title, String now, Map<String, Long> start) {
    return new StageRecord(
        id,
        version,
        title,
        State.RUNNING,
        1,
        now,
        null,
        null,
        start,
        null,
        null,
        null,
        null,
        null,
        null);
  }

  public StageRecord again() {
    return new StageRecord(
        id,
        version,
        title,
        state,
        attempts + 1,
        started,
        null,
        null,
        start,
        null,
        null,
        null,
        null,
        null,
        null);
  }

  public StageRecord done(String now, double seconds, StageResult result) {
    return new StageRecord(
        id,
        version,
        title,
        State.DONE,
        attempts,
        started,
        now,
        seconds,
        start,
        result.consumed(),
        result.produced(),
        result.checkpoints(),
        result.figures(),
        result.notes(),
        result.said());
  }

  @JsonIgnore
  public boolean isDone() {
    return state == State.DONE;
  }

  /** The checkpoint of a role. */
  public Optional<CheckpointRef> checkpoint(String role) {
    return checkpoints.stream().filter(ref -> ref.role().equals(role)).findFirst();
  }
}
