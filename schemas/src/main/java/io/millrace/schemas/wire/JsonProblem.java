package io.millrace.schemas.wire;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.exc.InvalidNullException;
import com.fasterxml.jackson.databind.exc.ValueInstantiationException;
import java.util.regex.Pattern;

/** Describes what Jackson refuses, in one line: the field first, then what is wrong with it. */
public final class JsonProblem {

  /** Advice on how to configure Jackson, of no use to whoever wrote the JSON. */
  private static final Pattern ADVICE =
      Pattern.compile(
          "; `DeserializationFeature.*| \\((?:set|but|disable|although|start marker|token) .*");

  private static final Pattern MISSING =
      Pattern.compile("Missing (?:required )?creator property.*");

  private static final Pattern NULL =
      Pattern.compile("Null value for creator property.*|Cannot (?:map|coerce) `null`.*");

  private JsonProblem() {}

  /**
   * A line such as {@code messages[1].role: ...}. Where a record's constructor refused its values,
   * the line ends with the constructor's own message.
   */
  public static String of(JsonProcessingException e) {
    String path = e instanceof JsonMappingException mapping ? path(mapping) : "";
    if (e instanceof InvalidNullException) {
      return path + " is null or missing";
    }
    Throwable source =
        e instanceof ValueInstantiationException && e.getCause() != null ? e.getCause() : e;
    String message =
        source instanceof JsonProcessingException json
            ? json.getOriginalMessage()
            : source.getMessage();
    String line = String.valueOf(message).lines().findFirst().orElse("");
    String plain = ADVICE.matcher(line).replaceFirst("");
    if (path.isEmpty()) {
      return plain;
    }
    if (MISSING.matcher(plain).matches()) {
      return path + " is missing";
    }
    return NULL.matcher(plain).matches() ? path + " is null" : path + ": " + plain;
  }

  private static String path(JsonMappingException e) {
    StringBuilder path = new StringBuilder();
    for (JsonMappingException.Reference reference : e.getPath()) {
      if (reference.getFieldName() == null) {
        path.append('[').append(reference.getIndex()).append(']');
      } else {
        path.append(path.isEmpty() ? "" : ".").append(reference.getFieldName());
      }
    }
    return path.toString();
  }
}
