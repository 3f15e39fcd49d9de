package io.millrace.schemas.wire;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Map;

/**
 * JSON from outside, one value a line. Every reader of such lines refuses the same: text after the
 * value, a key that is there twice, and a lone surrogate, which is no character and could not be
 * written again.
 */
public final class StrictJson {
  private static final JsonMapper MAPPER =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  /**
   * Most tokens of a value. A tree takes up to 60 bytes for each, and the smallest have one byte of
   * text.
   */
  static final int MAX_TOKENS = 2_000_000;

  private StrictJson() {}

  /**
   * Reads a line.
   *
   * @throws WireFormatException for text that is not one JSON value of whole characters; the
   *     message has the column or the field
   */
  public static JsonNode read(String line) {
    JsonNode tree;
    try {
      if (line.length() > MAX_TOKENS) {
        requireFewTokens(line);
      }
      tree = MAPPER.readTree(line);
    } catch (JsonProcessingException e) {
      String column = e.getLocation() == null ? "" : " at column " + e.getLocation().getColumnNr();
      throw new WireFormatException("not JSON: " + e.getOriginalMessage() + column, e);
    } catch (IOException e) {
      throw new UncheckedIOException("reading from memory failed", e);
    }
    requireCharacters(tree, new ArrayDeque<>());
    return tree;
  }

  private static void requireFewTokens(String line) throws IOException {
    try (JsonParser parser = MAPPER.createParser(line)) {
      for (long tokens = 1; parser.nextToken() != null; tokens++) {
        if (tokens > MAX_TOKENS) {
          throw new WireFormatException(
              "the JSON has more than %d values, names and brackets; split it"
                  .formatted(MAX_TOKENS));
        }
      }
    }
  }

  /**
   * @param path names and positions from the root to the node. They are joined for a message only:
   *     joined at each node they would cost the square of the text.
   */
  private static void requireCharacters(JsonNode node, Deque<Object> path) {
    if (node.isTextual()) {
      requireCharacters(node.textValue(), path);
    } else if (node.isObject()) {
      for (Map.Entry<String, JsonNode> member : node.properties()) {
        requireCharacters(member.getKey(), path);
        path.addLast(member.getKey());
        requireCharacters(member.getValue(), path);
        path.removeLast();
      }
    } else {
      for (int i = 0; i < node.size(); i++) {
        path.addLast(i);
        requireCharacters(node.get(i), path);
        path.removeLast();
      }
    }
  }

  private static String joined(Deque<Object> path) {
    StringBuilder joined = new StringBuilder();
    for (Object step : path) {
      if (step instanceof Integer position) {
        joined.append('[').append(position).append(']');
      } else {
        joined.append(joined.isEmpty() ? "" : ".").append(step);
      }
    }
    return joined.toString();
  }

  private static void requireCharacters(String text, Deque<Object> path) {
    for (int i = 0; i < text.length(); i++) {
      char unit = text.charAt(i);
      if (!Character.isSurrogate(unit)) {
        continue;
      }
      if (Character.isHighSurrogate(unit)
          && i + 1 < text.length()
          && Character.isLowSurrogate(text.charAt(i + 1))) {
        i++;
        continue;
      }
      throw new WireFormatException(
          "%s has a lone surrogate \\u%04x at character %d, which is no character; write both halves of the pair, or remove it"
              .formatted(path.isEmpty() ? "a name" : "\"" + joined(path) + "\"", (int) unit, i));
    }
  }
}
