package io.millrace.serve.api;

import com.fasterxml.jackson.databind.JsonNode;
import io.millrace.schemas.wire.StrictJson;
import io.millrace.schemas.wire.WireFormatException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** The fields of a JSON object from a client. A field that is {@code null} counts as absent. */
public final class Fields {

  private static final int LONGEST_QUOTE = 40;

  private final JsonNode object;

  private Fields(JsonNode object) {
    this.object = object;
  }

  /**
   * Reads the body of a request.
   *
   * @throws ApiException 400 if it is not one JSON object in UTF-8
   */
  public static Fields parse(byte[] body) {
    String text;
    try {
      text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(body)).toString();
    } catch (CharacterCodingException e) {
      throw ApiException.badRequest(
          "invalid_utf8", "the body is not UTF-8 (" + e.getMessage() + "); send JSON in UTF-8");
    }
    try {
      JsonNode tree = StrictJson.read(text);
      if (!tree.isObject()) {
        throw ApiException.badRequest("invalid_json", "the body must be one JSON object");
      }
      return new Fields(tree);
    } catch (WireFormatException e) {
      throw ApiException.badRequest("invalid_json", "the body is " + shortened(e.getMessage()));
    }
  }

  private static String shortened(String message) {
    return message.length() <= 400 ? message : message.substring(0, 400) + "…";
  }

  /** A field's value; empty if it is absent or null. */
  public Optional<JsonNode> get(String name) {
    JsonNode value = object.get(name);
    return value == null || value.isNull() ? Optional.empty() : Optional.of(value);
  }

  /** A field whose value is an object. */
  public Optional<Fields> object(String name) {
    return get(name)
        .map(
            value -> {
              if (!value.isObject()) {
                throw bad(name, "an object", value);
              }
              return new Fields(value);
            });
  }

  public Optional<String> text(String name) {
    return get(name)
        .map(
            value -> {
              if (!value.isTextual()) {
                throw bad(name, "a text", value);
              }
              return value.textValue();
            });
  }

  /**
   * A text that must be there.
   *
   * @param most its most characters
   */
  public String requiredText(String name, int most) {
    String text =
        text(name)
            .orElseThrow(() -> ApiException.badValue(name, "\"%s\" is missing".formatted(name)));
    requireLength(name, text, most);
    return text;
  }

  /** A text of at most {@code most} characters; empty text if it is absent. */
  public String optionalText(String name, int most) {
    String text = text(name).orElse("");
    requireLength(name, text, most);
    return text;
  }

  private static void requireLength(String name, String text, int most) {
    if (text.length() > most) {
      throw ApiException.badValue(
          name,
          "\"%s\" has %d characters; it must have at most %d".formatted(name, text.length(), most));
    }
  }

  public boolean flag(String name, boolean otherwise) {
    return optionalFlag(name).orElse(otherwise);
  }

  public Optional<Boolean> optionalFlag(String name) {
    return get(name)
        .map(
            value -> {
              if (!value.isBoolean()) {
                throw bad(name, "true or false", value);
              }
              return value.booleanValue();
            });
  }

  /** A whole number from {@code least} to {@code most}. */
  public Optional<Long> whole(String name, long least, long most) {
    return get(name)
        .map(
            value -> {
              boolean whole =
                  value.isNumber() && value.canConvertToLong() && value.canConvertToExactIntegral();
              if (!whole || value.longValue() < least || value.longValue() > most) {
                throw bad(name, "a whole number from %d to %d".formatted(least, most), value);
              }
              return value.longValue();
            });
  }

  /** A number from {@code least} to {@code most}. */
  public Optional<Double> number(String name, double least, double most) {
    return get(name)
        .map(
            value -> {
              if (!value.isNumber()
                  || !(value.doubleValue() >= least && value.doubleValue() <= most)) {
                throw bad(name, "a number from %s to %s".formatted(least, most), value);
              }
              return value.doubleValue();
            });
  }

  /** A constant of an enum, by its name in lower case. */
  public <E extends Enum<E>> Optional<E> constant(String name, Class<E> type) {
    return text(name)
        .map(
            text ->
                Arrays.stream(type.getEnumConstants())
                    .filter(constant -> constant.name().toLowerCase(Locale.ROOT).equals(text))
                    .findFirst()
                    .orElseThrow(
                        () ->
                            ApiException.badValue(
                                name,
                                "\"%s\" is \"%s\"; it must be one of %s"
                                    .formatted(
                                        name,
                                        quoted(text),
                                        Arrays.toString(type.getEnumConstants())
                                            .toLowerCase(Locale.ROOT)))));
  }

  /** One text or several. */
  List<String> texts(String name, int most) {
    List<String> texts = new ArrayList<>();
    get(name)
        .ifPresent(
            value -> {
              Iterable<JsonNode> all = value.isArray() ? value : List.of(value);
              for (JsonNode one : all) {
                if (!one.isTextual()) {
                  throw bad(name, "a text or an array of texts", one);
                }
                if (texts.size() == most) {
                  throw ApiException.badValue(
                      name, "\"%s\" has more than %d texts".formatted(name, most));
                }
                texts.add(one.textValue());
              }
            });
    return texts;
  }

  static ApiException bad(String name, String wanted, JsonNode value) {
    return ApiException.badValue(
        name, "\"%s\" is %s; it must be %s".formatted(name, quoted(value.toString()), wanted));
  }

  private static String quoted(String value) {
    return value.length() <= LONGEST_QUOTE ? value : value.substring(0, LONGEST_QUOTE) + "…";
  }
}
