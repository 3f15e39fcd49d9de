package io.millrace.jobs.campaign;

import io.millrace.jobs.local.Measured.Example;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * A step of a campaign that can be interrupted anywhere. What it starts from is taken down once,
 * before any of its work; its work may be begun again from that, any number of times, and comes to
 * one end.
 */
interface Stage {

  /** Unique in the campaign, such as {@code v3-ppo}. */
  String id();

  /** The version that it is part of; 0 is the chat checkpoint. */
  int version();

  /** What is done, for people. */
  String title();

  /**
   * What the stage starts from, such as versions and offsets, by name.
   *
   * @param record the campaign so far
   */
  Map<String, Long> begin(CampaignRecord record) throws Exception;

  /**
   * Does the work, or what an interrupted attempt left of it.
   *
   * @param record the campaign so far, without this stage's result
   * @param start what {@link #begin} said when the stage was first begun
   */
  Result run(CampaignRecord record, Map<String, Long> start) throws Exception;

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
  record Result(
      Map<String, Long> consumed,
      Map<String, Long> produced,
      List<CheckpointRef> checkpoints,
      Map<String, Double> figures,
      List<String> notes,
      List<Example> said) {

    public Result {
      consumed = new TreeMap<>(consumed);
      produced = new TreeMap<>(produced);
      checkpoints = List.copyOf(checkpoints);
      figures = finite(figures);
      notes = List.copyOf(notes);
      said = List.copyOf(said);
    }

    static Result of(
        Map<String, Long> consumed,
        Map<String, Long> produced,
        List<CheckpointRef> checkpoints,
        Map<String, Double> figures) {
      return new Result(consumed, produced, checkpoints, figures, List.of(), List.of());
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
}
