package io.millrace.connectors.exchange.format;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.connectors.importer.DemonstrationLine;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.Role;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

/** Formats of demonstrations that {@link DemonstrationLine} reads. */
final class Demonstrations implements Format {
  private final String name;
  private final String fields;
  private final Predicate<JsonNode> matches;

  private Demonstrations(String name, String fields, Predicate<JsonNode> matches) {
    this.name = name;
    this.fields = fields;
    this.matches = matches;
  }

  /** Chat messages, as OpenAI's and TRL's. */
  static Format messages() {
    return new Demonstrations(
        "messages", "messages, each with role and content", row -> row.has("messages"));
  }

  /** TRL's prompts and completions as texts. */
  static Format completion() {
    return new Demonstrations(
        "completion",
        "prompt and completion, without label",
        row -> Fields.has(row, "prompt", "completion") && !row.has("label"));
  }

  static Format alpaca() {
    return new Demonstrations(
        "alpaca",
        "instruction and output, with input, system and history where they are there",
        row -> row.has("instruction") && row.has("output"));
  }

  /** Plain texts, for language modelling. */
  static Format text() {
    return new Demonstrations(
        "text", "text and no field of another format", row -> row.has("text") && isOnlyText(row));
  }

  private static boolean isOnlyText(JsonNode row) {
    return !Fields.hasAny(
        row, "prompt", "messages", "conversations", "instruction", "chosen", "annotations");
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public String fields() {
    return fields;
  }

  @Override
  public boolean matches(JsonNode row) {
    return matches.test(row);
  }

  @Override
  public void read(JsonNode row, Settings settings, Output output) {
    List<Turn> dialogue =
        row.path("prompt").isArray() || row.path("completion").isArray()
            ? conversation(row)
            : DemonstrationLine.dialogue(row, name);
    dialogue.forEach(turn -> Fields.requireNoNul(name, turn.getContent()));
    output.add(Topic.DEMONSTRATIONS, demonstration(this, row, dialogue, settings));
  }

  /** TRL's prompts and completions as messages. */
  private static List<Turn> conversation(JsonNode row) {
    Fields.requireSupported(row);
    List<Turn> turns = new ArrayList<>(Fields.prompt(row, "prompt"));
    turns.add(new Turn(Role.ASSISTANT, Fields.response(row, "completion")));
    return turns;
  }

  static Demonstration demonstration(
      Format format, JsonNode row, List<Turn> dialogue, Settings settings) {
    return Demonstration.newBuilder()
        .setId(
            Fields.optionalText(row, Columns.DEMONSTRATION_ID)
                .orElseGet(
                    () -> ContentId.id(format.name(), new ContentId().add(dialogue).finish())))
        .setDialogue(dialogue)
        .setSource(Columns.source(row, settings, format))
        .setTime(Columns.time(row, settings))
        .setFirstLearnedTurn(
            Fields.has(row, Columns.FIRST_LEARNED_TURN)
                ? Fields.integer(row, Columns.FIRST_LEARNED_TURN, 0, Integer.MAX_VALUE)
                : 0)
        .setRevision(Columns.revision(row))
        .build();
  }
}
