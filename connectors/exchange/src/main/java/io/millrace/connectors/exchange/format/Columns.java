package io.millrace.connectors.exchange.format;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Validation;
import java.time.Instant;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/**
 * Columns beside those of TRL, which Millrace writes and reads again: with them, a record that was
 * exported and is imported is the same record. Other tools ignore them.
 */
public final class Columns {
  public static final String JUDGMENT_ID = "judgment_id";
  public static final String FEEDBACK_ID = "feedback_id";
  public static final String DEMONSTRATION_ID = "demonstration_id";
  public static final String PROMPT_ID = "prompt_id";
  public static final String OBJECTIVE = "objective";
  public static final String PREFERRED = "preferred";
  public static final String RATING = "rating";
  public static final String SCORE = "score";
  public static final String REASON = "reason";
  public static final String IS_SAFETY = "is_safety";
  public static final String FIRST_LEARNED_TURN = "first_learned_turn";
  public static final String ANNOTATOR = "annotator";
  public static final String SOURCE = "source";
  public static final String TIME = "time";
  public static final String REVISION = "revision";

  private static final String ROLLOUT_ID = "rollout_id";
  private static final String POLICY_VERSION = "policy_version";
  private static final String UNSAFE = "unsafe";
  private static final String TRUNCATED = "truncated";

  private Columns() {}

  /**
   * Writes what is known of a response beside its text.
   *
   * @param prefix of the columns, such as {@code chosen_}
   */
  public static void write(ObjectNode row, String prefix, JudgedResponse response) {
    if (response.getRolloutId() != null) {
      row.put(prefix + ROLLOUT_ID, response.getRolloutId());
    }
    if (response.getPolicyVersion() != null) {
      row.put(prefix + POLICY_VERSION, response.getPolicyVersion());
    }
    if (response.getUnsafe() != null) {
      row.put(prefix + UNSAFE, response.getUnsafe());
    }
    if (response.getTruncated() != null) {
      row.put(prefix + TRUNCATED, response.getTruncated());
    }
  }

  /** A response with the columns that {@link #write} writes, where they are there. */
  static JudgedResponse response(String text, JsonNode row, String prefix) {
    return JudgedResponse.newBuilder()
        .setText(text)
        .setRolloutId(Fields.optionalText(row, prefix + ROLLOUT_ID).orElse(null))
        .setPolicyVersion(
            Fields.has(row, prefix + POLICY_VERSION)
                ? (Long) (long) Fields.number(row, prefix + POLICY_VERSION)
                : null)
        .setUnsafe(optionalFlag(row, prefix + UNSAFE))
        .setTruncated(optionalFlag(row, prefix + TRUNCATED))
        .build();
  }

  private static Boolean optionalFlag(JsonNode row, String field) {
    return Fields.has(row, field) ? (Boolean) Fields.flag(row, field) : null;
  }

  /** The user's source, or the row's, or the format's name. */
  static String source(JsonNode row, Settings settings, Format format) {
    return settings
        .source()
        .or(
            () ->
                Optional.of(row.path(SOURCE))
                    .filter(JsonNode::isTextual)
                    .map(JsonNode::textValue)
                    .filter(source -> source.length() <= Validation.MAX_ID_CHARACTERS))
        .orElse(format.name());
  }

  /** The row's annotator, or the user's. */
  static String annotator(JsonNode row, Settings settings) {
    JsonNode value = row.path(ANNOTATOR);
    return (value.isTextual() && !value.textValue().isEmpty()) || value.isIntegralNumber()
        ? value.asText()
        : settings.annotator();
  }

  static Instant time(JsonNode row, Settings settings) {
    return Fields.time(row, TIME).orElse(settings.time());
  }

  static Integer revision(JsonNode row) {
    return Fields.has(row, REVISION)
        ? (Integer) Fields.integer(row, REVISION, 0, Integer.MAX_VALUE)
        : null;
  }

  /** A constant of an enumeration by its name, in any case and with spaces or dashes. */
  static <E extends Enum<E>> E constant(Class<E> type, String field, String name) {
    String wanted = name.strip().replace(' ', '_').replace('-', '_').toUpperCase(Locale.ROOT);
    for (E constant : type.getEnumConstants()) {
      if (constant.name().equals(wanted)) {
        return constant;
      }
    }
    throw Fields.invalid(
        "%s is \"%s\"; it must be one of %s",
        field,
        Fields.abbreviate(name),
        String.join(", ", Arrays.stream(type.getEnumConstants()).map(Enum::name).toList()));
  }
}
