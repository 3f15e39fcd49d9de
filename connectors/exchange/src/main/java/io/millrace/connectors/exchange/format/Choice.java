package io.millrace.connectors.exchange.format;

import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Rating;
import io.millrace.schemas.Turn;
import java.time.Instant;
import java.util.List;
import java.util.Locale;

/**
 * A choice between two responses, on the way to a judgment.
 *
 * @param better the chosen response
 * @param worse the other one
 * @param preferred the position of the chosen response; null if the file has no order: then a bit
 *     of the content decides, so that the position reveals nothing
 * @param key distinguishes choices of the same content, such as the number of an annotation; empty
 *     if the file has nothing of the kind
 */
record Choice(
    Objective objective,
    List<Turn> dialogue,
    JudgedResponse better,
    JudgedResponse worse,
    Preferred preferred,
    Rating rating,
    String annotator,
    String key) {

  /**
   * The judgment, not yet valid: both responses may be the same.
   *
   * @param format its name begins the id
   */
  Judgment judgment(Format format, String source, Instant time) {
    byte[] content =
        new ContentId()
            .add(dialogue)
            .add(better.getText())
            .add(worse.getText())
            .add(annotator)
            .add(key)
            .finish();
    Preferred position = preferred;
    if (position == null) {
      position = (content[content.length - 1] & 1) == 0 ? Preferred.A : Preferred.B;
    }
    boolean betterIsA = position == Preferred.A;
    return Judgment.newBuilder()
        .setJudgmentId(
            ContentId.id(format.name() + "-" + objective.name().toLowerCase(Locale.ROOT), content))
        .setObjective(objective)
        .setDialogue(List.copyOf(dialogue))
        .setResponseA(betterIsA ? better : worse)
        .setResponseB(betterIsA ? worse : better)
        .setPreferred(position)
        .setRating(rating)
        .setAnnotator(annotator)
        .setSource(source)
        .setTime(time)
        .build();
  }
}
