package io.millrace.connectors.importer;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.schemas.Demonstration;
import io.millrace.schemas.InvalidRecordException;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import io.millrace.schemas.UnusableRecordException;
import io.millrace.schemas.Validation;
import io.millrace.schemas.wire.JsonLines;
import io.millrace.schemas.wire.StrictJson;
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
 * fourth is a plain text. The last is that of the topic demonstrations.
 *
 * <p>Further fields of the other formats are used or refused where they change what is learned: a
 * {@code system} text becomes the first turn, and {@code history}, a list of pairs, the turns
 * before the second and third format. Nonempty {@code tools} and calls of them are refused, and
 * every {@code weight} but 1. All other fields are ignored.
 */
public final class DemonstrationLine {
  /** Fields of training data that change what is learned, and that Millrace cannot follow. */
  private static final List<String> UNSUPPORTED =
      List.of("tools", "functions", "tool_calls", "function_call");

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
      node = StrictJson.read(line);
    } catch (WireFormatException e) {
      throw new RefusedRecordException(
          e.reason(), "%s: %s; write one JSON object a line".formatted(origin, e.getMessage()));
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

  /**
   * The turns of a line in any format but that of the topic, not yet {@linkplain Validation valid}.
   *
   * @throws RefusedRecordException for another object, or one with fields that Millrace cannot
   *     follow
   */
  public static List<Turn> dialogue(JsonNode node, String origin) {
    requireSupported(node, origin);
    List<Turn> turns = new ArrayList<>();
    if (isPresent(node.path("system"))) {
      turns.add(new Turn(Role.SYSTEM, text(node, "system", origin)));
    }
    if (isPresent(node.path("history"))) {
      if (!node.has("prompt") && !node.has("instruction")) {
        throw invalid(origin, "history belongs to prompt or instruction; write it as messages");
      }
      history(turns, node.get("history"), origin);
    }
    if (node.has("messages")) {
      turns.addAll(messages(node.get("messages"), origin));
    } else if (node.has("prompt")) {
      exchange(turns, text(node, "prompt", origin), text(node, "completion", origin));
    } else if (node.has("instruction")) {
      String instruction = text(node, "instruction", origin);
      String input = node.hasNonNull("input") ? text(node, "input", origin) : "";
      exchange(
          turns,
          input.isBlank() ? instruction : instruction + "\n\n" + input,
          text(node, "output", origin));
    } else if (node.has("text")) {
      turns.add(new Turn(Role.ASSISTANT, text(node, "text", origin)));
    } else {
      throw invalid(
          origin,
          "no known format; write an object with messages, prompt and completion, instruction and"
              + " output, text, or dialogue");
    }
    return turns;
  }

  private static void exchange(List<Turn> turns, String user, String assistant) {
    turns.add(new Turn(Role.USER, user));
    turns.add(new Turn(Role.ASSISTANT, assistant));
  }

  private static void history(List<Turn> turns, JsonNode pairs, String origin) {
    for (int i = 0; i < pairs.size() || !pairs.isArray(); i++) {
      JsonNode pair = pairs.path(i);
      if (pair.size() != 2 || !pair.path(0).isTextual() || !pair.path(1).isTextual()) {
        throw invalid(
            origin,
            "history[%d] is no pair of texts; it must be a user and an assistant text"
                .formatted(i));
      }
      exchange(turns, pair.get(0).textValue(), pair.get(1).textValue());
    }
  }

  private static void requireSupported(JsonNode node, String origin) {
    for (String field : UNSUPPORTED) {
      if (isPresent(node.path(field))) {
        throw invalid(
            origin,
            "%s is %s; Millrace does not learn to call tools; remove the field or the line"
                .formatted(field, abbreviate(node.get(field))));
      }
    }
    JsonNode weight = node.path("weight");
    if (isPresent(weight) && !(weight.isNumber() && weight.doubleValue() == 1)) {
      throw invalid(
          origin,
          "weight is %s; Millrace learns from every assistant turn with weight 1; remove the line, or write it as dialogue with firstLearnedTurn"
              .formatted(abbreviate(weight)));
    }
  }

  private static String abbreviate(JsonNode value) {
    String text = value.toString();
    return text.length() <= 60 ? text : text.substring(0, 57) + "...";
  }

  /** Whether a field says anything: it is not null, blank, or an empty list, also as a text. */
  private static boolean isPresent(JsonNode value) {
    if (value.isTextual()) {
      return !value.textValue().isBlank() && !value.textValue().strip().equals("[]");
    }
    return !value.isMissingNode()
        && !value.isNull()
        && !(value.isContainerNode() && value.isEmpty());
  }

  private static List<Turn> messages(JsonNode messages, String origin) {
    if (!messages.isArray()) {
      throw invalid(origin, "messages is %s; it must be a list".formatted(type(messages)));
    }
    List<Turn> turns = new ArrayList<>();
    for (JsonNode message : messages) {
      String at = origin + ", messages[" + turns.size() + "]";
      requireSupported(message, at);
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
