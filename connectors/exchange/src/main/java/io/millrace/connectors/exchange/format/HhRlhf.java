package io.millrace.connectors.exchange.format;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Role;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import java.util.List;

/**
 * HH-RLHF (Bai et al., arXiv 2204.05862): two dialogues, {@code chosen} and {@code rejected}, each
 * one text with speakers. They are equal up to the last assistant turn, which is the response.
 *
 * <p>The real data has consecutive turns of one speaker, which are merged, and empty turns within a
 * dialogue, which are dropped.
 */
final class HhRlhf implements Format {
  @Override
  public String name() {
    return "hh-rlhf";
  }

  @Override
  public String fields() {
    return "chosen and rejected, each a text of Human: and Assistant: turns";
  }

  @Override
  public boolean matches(JsonNode row) {
    return !row.has("prompt") && isDialogue(row.path("chosen")) && isDialogue(row.path("rejected"));
  }

  private static boolean isDialogue(JsonNode value) {
    return value.isTextual() && HhTurns.isDialogue(value.textValue());
  }

  @Override
  public void read(JsonNode row, Settings settings, Output output) {
    List<Turn> chosen = dialogue(row, "chosen");
    List<Turn> rejected = dialogue(row, "rejected");
    List<Turn> prompt = chosen.subList(0, chosen.size() - 1);
    if (!prompt.equals(rejected.subList(0, rejected.size() - 1))) {
      throw Fields.refused("diverging", "the dialogues differ before the last assistant turn");
    }
    output.add(
        Topic.JUDGMENTS,
        new Choice(
                settings.requireObjective(this),
                prompt,
                response(chosen),
                response(rejected),
                null,
                settings.rating(),
                settings.annotator(),
                "")
            .judgment(this, settings.source().orElse(name()), settings.time()));
  }

  private static JudgedResponse response(List<Turn> dialogue) {
    return JudgedResponse.newBuilder().setText(dialogue.getLast().getContent()).build();
  }

  /** The turns of a dialogue. The last is the assistant's and may be empty. */
  private static List<Turn> dialogue(JsonNode row, String field) {
    List<Turn> turns = HhTurns.parse(Fields.text(row, field));
    if (turns.isEmpty()) {
      throw Fields.refused(
          "no-dialogue", "%s does not start with a Human: or Assistant: turn", field);
    }
    if (turns.getLast().getRole() != Role.ASSISTANT) {
      throw Fields.refused("no-dialogue", "%s does not end with an Assistant: turn", field);
    }
    return turns;
  }
}
