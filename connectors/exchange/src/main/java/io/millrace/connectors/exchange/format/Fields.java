package io.millrace.connectors.exchange.format;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.schemas.InvalidRecordException;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Role;
import io.millrace.schemas.Turn;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Reads fields of rows, and refuses those of a wrong type by name. */
final class Fields {
  /** A dialogue of more turns is no dialogue of people. */
  private static final int MOST_TURNS = 10_000;

  /** Fields of training data that change what is learned, and that Millrace cannot follow. */
  private static final List<String> UNSUPPORTED =
      List.of("tools", "functions", "tool_calls", "function_call", "images", "videos", "audios");

  private Fields() {}

  static boolean has(JsonNode row, String... fields) {
    for (String field : fields) {
      if (!row.hasNonNull(field)) {
        return false;
      }
    }
    return true;
  }

  static boolean hasAny(JsonNode row, String... fields) {
    for (String field : fields) {
      if (row.hasNonNull(field)) {
        return true;
      }
    }
    return false;
  }

  @SuppressWarnings("AnnotateFormatMethod") // The annotation is not among the dependencies.
  static RefusedRecordException invalid(String problem, Object... values) {
    return refused(InvalidRecordException.REASON, problem, values);
  }

  @SuppressWarnings("AnnotateFormatMethod")
  static RefusedRecordException refused(String reason, String problem, Object... values) {
    return new RefusedRecordException(reason, problem.formatted(values));
  }

  static void requireSupported(JsonNode row) {
    for (String field : UNSUPPORTED) {
      JsonNode value = row.path(field);
      if (!value.isMissingNode()
          && !value.isNull()
          && !(value.isContainerNode() && value.isEmpty())
          && !(value.isTextual() && value.textValue().isBlank())) {
        throw invalid("%s is %s; Millrace learns from text only; remove it", field, shown(value));
      }
    }
  }

  static String text(JsonNode row, String field) {
    JsonNode value = row.path(field);
    if (!value.isTextual()) {
      throw invalid("%s is %s; it must be a string", field, shown(value));
    }
    return requireNoNul(field, value.textValue());
  }

  /** No text of people has a NUL; programs in C would lose what follows it. */
  static String requireNoNul(String field, String text) {
    if (text.indexOf('\0') >= 0) {
      throw invalid("%s has a NUL character at %d; remove it", field, text.indexOf('\0'));
    }
    return text;
  }

  /** A text that may be missing, null or empty. */
  static Optional<String> optionalText(JsonNode row, String field) {
    return has(row, field)
        ? Optional.of(text(row, field)).filter(text -> !text.isEmpty())
        : Optional.empty();
  }

  static double number(JsonNode row, String field) {
    JsonNode value = row.path(field);
    if (!value.isNumber()) {
      throw invalid("%s is %s; it must be a number", field, shown(value));
    }
    return value.doubleValue();
  }

  /** A whole number within limits. */
  static int integer(JsonNode row, String field, int least, int most) {
    double value = number(row, field);
    if (value != Math.rint(value) || value < least || value > most) {
      throw invalid(
          "%s is %s; it must be a whole number from %d to %d",
          field, shown(row.get(field)), least, most);
    }
    return (int) value;
  }

  static boolean flag(JsonNode row, String field) {
    JsonNode value = row.path(field);
    if (!value.isBoolean()) {
      throw invalid("%s is %s; it must be true or false", field, shown(value));
    }
    return value.booleanValue();
  }

  /** A time in ISO 8601, without a zone in UTC. */
  static Optional<Instant> time(JsonNode row, String field) {
    Optional<String> text = optionalText(row, field);
    if (text.isEmpty()) {
      return Optional.empty();
    }
    String iso = text.get().replace(' ', 'T');
    try {
      return Optional.of(OffsetDateTime.parse(iso).toInstant());
    } catch (DateTimeParseException _) {
      // Perhaps it has no zone.
    }
    try {
      return Optional.of(LocalDateTime.parse(iso).toInstant(ZoneOffset.UTC));
    } catch (DateTimeParseException e) {
      throw invalid("%s is %s; it must be a time in ISO 8601", field, shown(row.get(field)));
    }
  }

  /** The turns of a prompt: a text is one user turn, a list has messages. */
  static List<Turn> prompt(JsonNode row, String field) {
    JsonNode value = row.path(field);
    return value.isArray()
        ? messages(value, field)
        : List.of(new Turn(Role.USER, text(row, field)));
  }

  /** The text of a response: a text, or a list of one assistant message. */
  static String response(JsonNode row, String field) {
    JsonNode value = row.path(field);
    if (!value.isArray()) {
      return text(row, field);
    }
    List<Turn> turns = messages(value, field);
    if (turns.size() != 1 || turns.getFirst().getRole() != Role.ASSISTANT) {
      throw invalid("%s must be one message of the assistant; it has %d", field, turns.size());
    }
    return turns.getFirst().getContent();
  }

  /** Messages with {@code role} and {@code content}. */
  static List<Turn> messages(JsonNode messages, String field) {
    requireTurns(messages, field);
    List<Turn> turns = new ArrayList<>();
    for (int i = 0; i < messages.size(); i++) {
      JsonNode message = messages.get(i);
      try {
        requireSupported(message);
        turns.add(new Turn(role(text(message, "role")), text(message, "content")));
      } catch (RefusedRecordException e) {
        throw invalid("%s[%d].%s", field, i, e.getMessage());
      }
    }
    return turns;
  }

  static void requireTurns(JsonNode list, String field) {
    if (!list.isArray() || list.size() > MOST_TURNS) {
      throw invalid(
          "%s is %s; it must be a list of at most %d messages", field, shown(list), MOST_TURNS);
    }
  }

  private static Role role(String name) {
    return switch (name) {
      case "system" -> Role.SYSTEM;
      case "user" -> Role.USER;
      case "assistant" -> Role.ASSISTANT;
      default ->
          throw invalid("role is \"%s\"; it must be system, user or assistant", abbreviate(name));
    };
  }

  /** A value for a message. */
  static String shown(JsonNode value) {
    return switch (value.getNodeType()) {
      case MISSING -> "missing";
      case ARRAY -> "a list of " + value.size();
      case OBJECT, POJO -> "an object";
      default -> abbreviate(value.toString());
    };
  }

  static String abbreviate(String text) {
    return text.length() <= 60 ? text : text.substring(0, 57) + "...";
  }
}
