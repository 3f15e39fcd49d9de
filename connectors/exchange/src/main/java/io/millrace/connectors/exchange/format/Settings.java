package io.millrace.connectors.exchange.format;

import io.millrace.schemas.Objective;
import io.millrace.schemas.Rating;
import java.time.Instant;
import java.util.Optional;

/**
 * What the user says about the records of a file.
 *
 * @param objective what the annotators judged; empty where the file says it
 * @param rating of judgments whose file has no degree
 * @param source of every record; empty for the file's, or else the format's name
 * @param annotator of records whose file names none
 * @param safety whether prompts belong to the safety set
 * @param time of records whose file has none
 */
public record Settings(
    Optional<Objective> objective,
    Rating rating,
    Optional<String> source,
    String annotator,
    boolean safety,
    Instant time) {

  /** Settings of which only the time is given. */
  public static Settings at(Instant time) {
    return new Settings(
        Optional.empty(), Rating.SLIGHTLY_BETTER, Optional.empty(), "", false, time);
  }

  /** These settings for one objective. */
  public Settings with(Objective judged) {
    return new Settings(Optional.of(judged), rating, source, annotator, safety, time);
  }

  Objective requireObjective(Format format) {
    return objective.orElseThrow(
        () ->
            new MissingSettingException(
                "the format %s does not say what the annotators judged; give --objective helpfulness or --objective safety"
                    .formatted(format.name())));
  }
}
