package io.millrace.connectors.importer;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import io.millrace.schemas.UnusableRecordException;
import io.millrace.schemas.Validation;
import io.millrace.schemas.wire.JsonLines;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/**
 * A demonstration in one of the forms in which data sets come, one JSON object a line:
 *
 * <pre>{@code
 * {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}
 * {"prompt": "…", "completion": "…"}
 * {"instruction": "…", "input": "…", "output": "…"}
 * {"text": "…"}
 * {"id": "…", "dialogue": [{"role": "USER", "content": "…"}, …]}
 * }</pre>
 *
 * The third is Alpaca's, whose input may be missing or empty and else follows the instruction after
 * an empty line; the fourth is a plain text; the last is the topic's own. Other fields are ignored.
 */
public final class DemonstrationLine {
  private static final ObjectMapper MAPPER =
      new ObjectMapper().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

  private DemonstrationLine() {}

  /**
   * Reads a line.
   *
   * @param origin file and line, which messages begin with and which is the demonstration's id
   *     where it has none of its own
   * @throws UnusableRecordException if the line is no valid demonstration
   */
  public static Demonstration read(String line, String origin) {
    JsonNode node;
    try {
      // Some editors begin a file in UTF-8 with a byte order mark.
      node = MAPPER.readTree(line.startsWith("\uFEFF") ? line.substring(1) : line);
    } catch (JsonProcessingException e) {
      throw new RefusedRecordException(
          "undecodable", origin + ": not JSON: " + e.getOriginalMessage());
    }
    try {
      return node.has("dialogue")
          ? Validation.require(JsonLines.read(Demonstration.class, node.toString()))
          : Validation.require(
              Demonstration.newBuilder()
                  .setId(node.path("id").asText(origin))
                  .setDialogue(dialogue(node, origin))
                  .setSource(node.path("source").asText(""))
                  .setTime(Instant.EPOCH)
                  .build());
    } catch (RefusedRecordException e) {
      throw e;
    } catch (UnusableRecordException e) {
      throw new RefusedRecordException(e.reason(), origin + ": " + e.getMessage());
    }
  }

  private static List<Turn> dialogue(JsonNode node, String origin) {
    if (node.has("messages")) {
      return messages(node.get("messages"), origin);
    } else if (node.has("prompt")) {
      return exchange(text(node, "prompt", origin), text(node, "completion", origin));
    } else if (node.has("instruction")) {
      String instruction = text(node, "instruction", origin);
      String input = node.hasNonNull("input") ? text(node, "input", origin) : "";
      return exchange(
          input.isBlank() ? instruction : instruction + "\n\n" + input,
          text(node, "output", origin));
    } else if (node.has("text")) {
      return List.of(new Turn(Role.ASSISTANT, text(node, "text", origin)));
    }
    throw invalid(
        origin,
        "an object with messages, prompt and completion, instruction and output, text, or dialogue"
            + " is expected");
  }

  private static List<Turn> exchange(String user, String assistant) {
    return List.of(new Turn(Role.USER, user), new Turn(Role.ASSISTANT, assistant));
  }

  private static List<Turn> messages(JsonNode messages, String origin) {
    if (!messages.isArray()) {
      throw invalid(origin, "messages must be a list");
    }
    List<Turn> turns = new ArrayList<>();
    for (JsonNode message : messages) {
      String at = origin + ", message " + turns.size();
      Role role =
          switch (text(message, "role", at)) {
            case "system" -> Role.SYSTEM;
            case "user" -> Role.USER;
            case "assistant" -> Role.ASSISTANT;
            case String other ->
                throw invalid(at, "role must be system, user or assistant, not " + other);
          };
      turns.add(new Turn(role, text(message, "content", at)));
    }
    return turns;
  }

  private static String text(JsonNode node, String field, String origin) {
    JsonNode value = node.path(field);
    if (!value.isTextual()) {
      throw invalid(
          origin,
          value.isMissingNode() ? "there is no " + field : field + " must be a text, not " + value);
    }
    return value.asText();
  }

  private static RefusedRecordException invalid(String origin, String problem) {
    return new RefusedRecordException("invalid", origin + ": " + problem);
  }
}
