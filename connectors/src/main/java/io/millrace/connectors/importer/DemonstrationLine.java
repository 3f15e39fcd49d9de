package io.millrace.connectors.importer;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.InvalidRecordException;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import io.millrace.schemas.UnusableRecordException;
import io.millrace.schemas.Validation;
import io.millrace.schemas.wire.JsonLines;
import io.millrace.schemas.wire.WireFormatException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/**
 * Parses a line of a demonstration file. A line is one JSON object in any of these formats:
 *
 * <pre>{@code
 * {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}
 * {"prompt": "…", "completion": "…"}
 * {"instruction": "…", "input": "…", "output": "…"}
 * {"text": "…"}
 * {"id": "…", "dialogue": [{"role": "USER", "content": "…"}, …]}
 * }</pre>
 *
 * The third format is Alpaca's: a nonempty input follows the instruction after an empty line. The
 * fourth is a plain text. The last is that of the topic demonstrations. In the other formats,
 * further fields are ignored.
 */
public final class DemonstrationLine {
  private static final ObjectMapper MAPPER =
      new ObjectMapper().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

  private DemonstrationLine() {}

  /**
   * Parses a line.
   *
   * @param origin file and line number. Error messages begin with it, and its end is the id of a
   *     demonstration without one.
   * @throws UnusableRecordException when the line is no valid demonstration
   */
  public static Demonstration read(String line, String origin) {
    JsonNode node;
    try {
      // Some editors write a byte order mark at the start of a UTF-8 file.
      node = MAPPER.readTree(line.startsWith("\uFEFF") ? line.substring(1) : line);
    } catch (JsonProcessingException e) {
      throw new RefusedRecordException(
          WireFormatException.REASON,
          "%s: not JSON: %s; write one JSON object a line"
              .formatted(origin, e.getOriginalMessage()));
    }
    try {
      return node.has("dialogue")
          ? Validation.require(JsonLines.read(Demonstration.class, node.toString()))
          : Validation.require(
              Demonstration.newBuilder()
                  .setId(node.path("id").asText(idOf(origin)))
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

  /** The end of a long path names the file and the line. */
  private static String idOf(String origin) {
    return origin.substring(Math.max(0, origin.length() - Validation.MAX_ID_CHARACTERS));
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
        "no known format; write an object with messages, prompt and completion, instruction and"
            + " output, text, or dialogue");
  }

  private static List<Turn> exchange(String user, String assistant) {
    return List.of(new Turn(Role.USER, user), new Turn(Role.ASSISTANT, assistant));
  }

  private static List<Turn> messages(JsonNode messages, String origin) {
    if (!messages.isArray()) {
      throw invalid(origin, "messages is %s; it must be a list".formatted(type(messages)));
    }
    List<Turn> turns = new ArrayList<>();
    for (JsonNode message : messages) {
      String at = origin + ", messages[" + turns.size() + "]";
      Role role =
          switch (text(message, "role", at)) {
            case "system" -> Role.SYSTEM;
            case "user" -> Role.USER;
            case "assistant" -> Role.ASSISTANT;
            case String other ->
                throw invalid(
                    at, "role is \"%s\"; it must be system, user or assistant".formatted(other));
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
          value.isMissingNode()
              ? "%s is missing; it must be a string".formatted(field)
              : "%s is %s; it must be a string".formatted(field, type(value)));
    }
    return value.asText();
  }

  /** The JSON type of a value, such as "a number". */
  private static String type(JsonNode value) {
    return switch (value.getNodeType()) {
      case ARRAY -> "an array";
      case OBJECT, POJO -> "an object";
      case NULL -> "null";
      case NUMBER -> "a number";
      case BOOLEAN -> "a boolean";
      case STRING, BINARY -> "a string";
      case MISSING -> "missing";
    };
  }

  private static RefusedRecordException invalid(String origin, String problem) {
    return new RefusedRecordException(InvalidRecordException.REASON, origin + ": " + problem);
  }
}
