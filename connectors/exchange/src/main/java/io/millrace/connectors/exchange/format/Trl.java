package io.millrace.connectors.exchange.format;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Objective;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Rating;
import io.millrace.schemas.Role;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Preferences of TRL: {@code chosen} and {@code rejected}, with {@code prompt} or with the prompt
 * in both, as texts or as messages. A {@code prompt} in HH-RLHF's text form is parsed, too.
 */
final class Trl implements Format {
  @Override
  public String name() {
    return "trl";
  }

  @Override
  public String fields() {
    return "chosen and rejected, and prompt unless both are messages";
  }

  @Override
  public boolean matches(JsonNode row) {
    return Fields.has(row, "chosen", "rejected")
        && (row.has("prompt") || (row.get("chosen").isArray() && row.get("rejected").isArray()));
  }

  @Override
  public void read(JsonNode row, Settings settings, Output output) {
    Fields.requireSupported(row);
    requireConsistentScores(row);
    List<Turn> chosen = new ArrayList<>();
    String better = split(row, "chosen", chosen);
    List<Turn> rejected = new ArrayList<>();
    String worse = split(row, "rejected", rejected);
    if (!chosen.equals(rejected)) {
      throw Fields.refused("diverging", "chosen and rejected differ before their last message");
    }
    List<Turn> dialogue = dialogue(row, chosen);
    Fields.optionalText(row, "system")
        .ifPresent(system -> dialogue.addFirst(new Turn(Role.SYSTEM, system)));
    Judgment judgment =
        new Choice(
                objective(row, settings),
                dialogue,
                Columns.response(better, row, "chosen_"),
                Columns.response(worse, row, "rejected_"),
                constant(row, Columns.PREFERRED, Preferred.class).orElse(null),
                constant(row, Columns.RATING, Rating.class).orElse(settings.rating()),
                Columns.annotator(row, settings),
                "")
            .judgment(this, Columns.source(row, settings, this), Columns.time(row, settings));
    Fields.optionalText(row, Columns.JUDGMENT_ID).ifPresent(judgment::setJudgmentId);
    judgment.setRevision(Columns.revision(row));
    output.add(Topic.JUDGMENTS, judgment);
  }

  /** What the file says goes before what the user says about files that say nothing. */
  private Objective objective(JsonNode row, Settings settings) {
    return constant(row, Columns.OBJECTIVE, Objective.class)
        .orElseGet(() -> settings.requireObjective(this));
  }

  private static <E extends Enum<E>> Optional<E> constant(
      JsonNode row, String field, Class<E> type) {
    // Other tools' columns of these names may have anything.
    return Fields.has(row, Columns.JUDGMENT_ID)
        ? Fields.optionalText(row, field).map(name -> Columns.constant(type, field, name))
        : Optional.empty();
  }

  private static void requireConsistentScores(JsonNode row) {
    if (Fields.has(row, "score_chosen", "score_rejected")) {
      double chosen = Fields.number(row, "score_chosen");
      double rejected = Fields.number(row, "score_rejected");
      if (!(chosen > rejected)) {
        throw Fields.refused(
            "no-preference",
            "score_chosen is %s and score_rejected %s; the chosen response must have the higher"
                + " score",
            chosen,
            rejected);
      }
    }
  }

  /** Returns the response, and adds the messages before it. */
  private static String split(JsonNode row, String field, List<Turn> before) {
    if (!row.get(field).isArray()) {
      return Fields.text(row, field);
    }
    List<Turn> turns = Fields.messages(row.get(field), field);
    if (turns.isEmpty() || turns.getLast().getRole() != Role.ASSISTANT) {
      throw Fields.refused("no-dialogue", "%s does not end with a message of the assistant", field);
    }
    before.addAll(turns.subList(0, turns.size() - 1));
    return turns.getLast().getContent();
  }

  private static List<Turn> dialogue(JsonNode row, List<Turn> before) {
    if (!Fields.has(row, "prompt")) {
      return new ArrayList<>(before);
    }
    List<Turn> prompt = new ArrayList<>(prompt(row));
    if (!before.isEmpty() && !endsWith(before, prompt)) {
      throw Fields.refused("diverging", "the messages of chosen do not begin with prompt");
    }
    return before.isEmpty() ? prompt : new ArrayList<>(before);
  }

  /** UltraFeedback's binarized form repeats the prompt as the messages before the response. */
  private static boolean endsWith(List<Turn> turns, List<Turn> end) {
    int first = turns.size() - end.size();
    return first >= 0 && turns.subList(first, turns.size()).equals(end);
  }

  private static List<Turn> prompt(JsonNode row) {
    JsonNode prompt = row.get("prompt");
    if (prompt.isTextual() && prompt.textValue().stripLeading().startsWith("Human:")) {
      List<Turn> turns = HhTurns.parse(prompt.textValue());
      // The text ends with "Assistant:", the place of the response.
      if (turns.size() > 1
          && turns.getLast().getRole() == Role.ASSISTANT
          && turns.getLast().getContent().isEmpty()) {
        return turns.subList(0, turns.size() - 1);
      }
    }
    return Fields.prompt(row, "prompt");
  }
}
