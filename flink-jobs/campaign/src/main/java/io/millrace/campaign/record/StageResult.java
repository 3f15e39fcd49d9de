package io.millrace.campaign.record;

import com.fasterxml.jackson.annotation.JsonAlias;
import com.fasterxml.jackson.annotation.JsonSetter;
import com.fasterxml.jackson.annotation.Nulls;
import io.millrace.demo.loop.GoldScores.Example;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;

/**
 * The result of a stage.
 *
 * @param consumed counts of consumed records by kind
 * @param produced counts of produced records by kind
 * @param checkpoints published checkpoints
 * @param metrics metrics by name, all of them finite; {@code figures} in older files
 * @param notes sentences for people
 * @param examples prompts and responses for people to read; {@code said} in older files
 */
public record StageResult(
    @JsonSetter(nulls = Nulls.SET) Map<String, Long> consumed,
    @JsonSetter(nulls = Nulls.SET) Map<String, Long> produced,
    @JsonSetter(nulls = Nulls.SET) List<CheckpointRef> checkpoints,
    @JsonSetter(nulls = Nulls.SET) @JsonAlias("figures") Map<String, Double> metrics,
    @JsonSetter(nulls = Nulls.SET) List<String> notes,
    @JsonSetter(nulls = Nulls.SET) @JsonAlias("said") List<Example> examples) {

  /** The result of a stage that is not done. */
  public static final StageResult EMPTY = builder().build();

  /** Takes null as empty; leaves out metrics that are not finite, which JSON cannot hold. */
  public StageResult {
    consumed = new TreeMap<>(Objects.requireNonNullElse(consumed, Map.of()));
    produced = new TreeMap<>(Objects.requireNonNullElse(produced, Map.of()));
    checkpoints = List.copyOf(Objects.requireNonNullElse(checkpoints, List.of()));
    metrics = new TreeMap<>(Objects.requireNonNullElse(metrics, Map.of()));
    metrics.values().removeIf(value -> !Double.isFinite(value));
    notes = List.copyOf(Objects.requireNonNullElse(notes, List.of()));
    examples = List.copyOf(Objects.requireNonNullElse(examples, List.of()));
  }

  /** An empty result to add to. */
  public static Builder builder() {
    return new Builder();
  }

  /** A result that grows. */
  public static final class Builder {
    private final Map<String, Long> consumed = new TreeMap<>();
    private final Map<String, Long> produced = new TreeMap<>();
    private final List<CheckpointRef> checkpoints = new ArrayList<>();
    private final Map<String, Double> metrics = new TreeMap<>();
    private final List<String> notes = new ArrayList<>();
    private final List<Example> examples = new ArrayList<>();

    private Builder() {}

    /** Adds the count of consumed records of a kind. */
    public Builder consumed(String kind, long count) {
      consumed.put(kind, count);
      return this;
    }

    /** Adds the count of produced records of a kind. */
    public Builder produced(String kind, long count) {
      produced.put(kind, count);
      return this;
    }

    /** Adds a published checkpoint. */
    public Builder checkpoint(CheckpointRef published) {
      checkpoints.add(published);
      return this;
    }

    /** Adds metrics, each under the prefix and its name. */
    public Builder metrics(String prefix, Map<String, Double> values) {
      values.forEach((name, value) -> metrics.put(prefix + name, value));
      return this;
    }

    /** Adds a metric. */
    public Builder metric(String name, double value) {
      metrics.put(name, value);
      return this;
    }

    /** Adds a sentence for people. */
    public Builder note(String sentence) {
      notes.add(sentence);
      return this;
    }

    /** Adds prompts and responses for people to read. */
    public Builder examples(List<Example> all) {
      examples.addAll(all);
      return this;
    }

    /** The result so far. */
    public StageResult build() {
      return new StageResult(consumed, produced, checkpoints, metrics, notes, examples);
    }
  }
}
