package io.millrace.connectors.exchange.format;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Role;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Prompts alone, from CSV or as TRL's: {@code prompt}, a text or messages. */
final class Prompts implements Format {
  @Override
  public String name() {
    return "prompts";
  }

  @Override
  public String fields() {
    return "prompt and no response";
  }

  @Override
  public boolean matches(JsonNode row) {
    return row.hasNonNull("prompt")
        && !Fields.hasAny(row, "completion", "chosen", "rejected", "response", "output")
        && !Fields.hasAny(row, "response_0", "response_1", "response1", "answer1", "annotations");
  }

  @Override
  public void read(JsonNode row, Settings settings, Output output) {
    Fields.requireSupported(row);
    List<Turn> dialogue = new ArrayList<>(Fields.prompt(row, "prompt"));
    Fields.optionalText(row, "system")
        .ifPresent(system -> dialogue.addFirst(new Turn(Role.SYSTEM, system)));
    output.add(
        Topic.PROMPTS,
        Prompt.newBuilder()
            .setPromptId(
                Fields.optionalText(row, Columns.PROMPT_ID)
                    .orElseGet(() -> ContentId.id(name(), new ContentId().add(dialogue).finish())))
            .setDialogue(dialogue)
            .setIsSafety(isSafety(row, settings))
            .setSource(Columns.source(row, settings, this))
            .setTime(Columns.time(row, settings))
            .build());
  }

  /** CSV has texts only. */
  private static boolean isSafety(JsonNode row, Settings settings) {
    if (!Fields.has(row, Columns.IS_SAFETY)) {
      return settings.safety();
    }
    return switch (row.get(Columns.IS_SAFETY).asText().toLowerCase(Locale.ROOT)) {
      case "true", "1" -> true;
      case "false", "0" -> false;
      default ->
          throw Fields.invalid(
              "is_safety is %s; it must be true or false",
              Fields.shown(row.get(Columns.IS_SAFETY)));
    };
  }
}
