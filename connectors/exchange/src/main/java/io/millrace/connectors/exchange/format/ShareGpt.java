package io.millrace.connectors.exchange.format;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Role;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import java.util.ArrayList;
import java.util.List;

/** ShareGPT: {@code conversations}, each turn with {@code from} and {@code value}. */
final class ShareGpt implements Format {
  @Override
  public String name() {
    return "sharegpt";
  }

  @Override
  public String fields() {
    return "conversations, each with from and value";
  }

  @Override
  public boolean matches(JsonNode row) {
    return row.has("conversations") && !Fields.hasAny(row, "chosen", "rejected");
  }

  @Override
  public void read(JsonNode row, Settings settings, Output output) {
    Fields.requireSupported(row);
    JsonNode conversation = row.path("conversations");
    Fields.requireTurns(conversation, "conversations");
    List<Turn> dialogue = new ArrayList<>();
    Fields.optionalText(row, "system")
        .ifPresent(system -> dialogue.add(new Turn(Role.SYSTEM, system)));
    for (int i = 0; i < conversation.size(); i++) {
      JsonNode turn = conversation.get(i);
      try {
        Fields.requireSupported(turn);
        dialogue.add(new Turn(role(Fields.text(turn, "from")), Fields.text(turn, "value")));
      } catch (RefusedRecordException e) {
        throw Fields.invalid("conversations[%d].%s", i, e.getMessage());
      }
    }
    output.add(Topic.DEMONSTRATIONS, Demonstrations.demonstration(this, row, dialogue, settings));
  }

  private static Role role(String name) {
    return switch (name) {
      case "system" -> Role.SYSTEM;
      case "human", "user" -> Role.USER;
      case "gpt", "chatgpt", "assistant", "bing", "bard" -> Role.ASSISTANT;
      default ->
          throw Fields.invalid(
              "from is \"%s\"; it must be system, human or gpt", Fields.abbreviate(name));
    };
  }
}
