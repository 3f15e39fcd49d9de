package io.millrace.campaign.record;

import io.millrace.demo.loop.Measured.Example;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * What a stage leaves.
 *
 * @param consumed records by kind
 * @param produced records by kind
 * @param checkpoints published
 * @param figures by name
 * @param notes in words
 * @param said prompts and responses, to be read
 */
public record StageResult(
    Map<String, Long> consumed,
    Map<String, Long> produced,
    List<CheckpointRef> checkpoints,
    Map<String, Double> figures,
    List<String> notes,
    List<Example> said) {

  public StageResult {
    consumed = new TreeMap<>(consumed);
    produced = new TreeMap<>(produced);
    checkpoints = List.copyOf(checkpoints);
    figures = finite(figures);
    notes = List.copyOf(notes);
    said = List.copyOf(said);
  }

  public static StageResult of(
      Map<String, Long> consumed,
      Map<String, Long> produced,
      List<CheckpointRef> checkpoints,
      Map<String, Double> figures) {
    return new StageResult(consumed, produced, checkpoints, figures, List.of(), List.of());
  }

  /** JSON has no way to write other numbers. */
  private static Map<String, Double> finite(Map<String, Double> figures) {
    Map<String, Double> finite = new TreeMap<>();
    figures.forEach(
        (name, value) ->
            Optional.of(value).filter(Double::isFinite).ifPresent(v -> finite.put(name, v)));
    return finite;
  }
}
