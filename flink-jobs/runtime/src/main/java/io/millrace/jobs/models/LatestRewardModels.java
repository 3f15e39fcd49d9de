package io.millrace.jobs.models;

import io.millrace.jobs.runtime.SharedState;
import io.millrace.schemas.Objective;
import io.millrace.schemas.RewardCheckpoint;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.apache.avro.reflect.Nullable;
import org.apache.flink.runtime.execution.SuppressRestartsException;

/** The latest announced reward model of each objective, by {@link ModelRef#replaces}. */
public final class LatestRewardModels implements SharedState {

  private final Map<Objective, ModelRef> latest = new EnumMap<>(Objective.class);
  private final boolean judges;

  /** The models as state; null for an objective without a model. */
  public record State(@Nullable ModelRef helpfulness, @Nullable ModelRef safety) {}

  /** The reward models to learn from. A reward model that judges policy versions is not one. */
  public LatestRewardModels() {
    this(false);
  }

  /**
   * The reward models of one kind.
   *
   * @param judges whether only those count that judge policy versions, or only the others
   */
  public LatestRewardModels(boolean judges) {
    this.judges = judges;
  }

  /**
   * Takes an announcement; one of the other kind changes nothing.
   *
   * @return whether it is the latest of its objective now
   */
  public boolean offer(RewardCheckpoint announced) {
    return announced.getJudge() == judges
        && offer(announced.getObjective(), ModelRef.of(announced));
  }

  /**
   * Takes a published version.
   *
   * @return whether it is the latest of its objective now
   */
  public boolean offer(Objective objective, ModelRef model) {
    ModelRef known = latest.get(objective);
    if (known == null ? model.isRetired() : !model.replaces(known)) {
      return false;
    }
    latest.put(objective, model);
    return true;
  }

  /** Both models, once both are announced. */
  public Optional<RewardModelPair> pair() {
    return latest.size() < Objective.values().length
        ? Optional.empty()
        : Optional.of(
            new RewardModelPair(latest.get(Objective.HELPFULNESS), latest.get(Objective.SAFETY)));
  }

  /**
   * Both models, at the end of the announcements. Fails for good without them.
   *
   * @param waiting number of records that wait for the models, for the message
   * @param records what they are: {@code prompts}
   */
  public RewardModelPair require(int waiting, String records) {
    return pair()
        .orElseThrow(
            () ->
                new SuppressRestartsException(
                    new IllegalStateException(
                        "%d %s cannot be scored: no %s reward model is announced; run reward-model first"
                            .formatted(waiting, records, missing()))));
  }

  /** The objectives without an announced model: {@code helpfulness and no safety}. */
  public String missing() {
    return Arrays.stream(Objective.values())
        .filter(objective -> !latest.containsKey(objective))
        .map(objective -> objective.name().toLowerCase(Locale.ROOT))
        .collect(Collectors.joining(" and no "));
  }

  /** The models as a record, for a state with other parts. */
  public State state() {
    return new State(latest.get(Objective.HELPFULNESS), latest.get(Objective.SAFETY));
  }

  @Override
  public void write(StateWriter out) throws IOException {
    out.write(state());
  }

  @Override
  public void read(StateReader in) throws IOException {
    restore(in.read(State.class));
  }

  /** Restores what {@link #state} gave, except models that the store has deleted since. */
  public void restore(State state) {
    if (state.helpfulness() != null) {
      offer(Objective.HELPFULNESS, state.helpfulness());
    }
    if (state.safety() != null) {
      offer(Objective.SAFETY, state.safety());
    }
  }
}
