package io.millrace.cli.people;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.schemas.RefusedRecordException;
import io.millrace.schemas.Sha256;
import io.millrace.schemas.Turn;
import io.millrace.schemas.wire.StrictJson;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.List;
import java.util.Optional;

/**
 * A line of the key of blinded pairs: it says whose responses a pair has. The pair's id is a hash
 * of its texts, so that a judgment of any tool finds its pair.
 *
 * @param pair see {@link #id}
 * @param promptId of the prompt or the demonstration
 * @param first whose response the first one is, such as {@code policy v12}
 * @param second whose response the second one is
 * @param settled the result of a pair that nobody is asked about: {@code first} or {@code second}
 *     if the other response is empty, {@code same} for the same texts; empty for the other pairs
 */
record ComparedPair(
    String pair,
    String promptId,
    boolean isSafety,
    String first,
    String second,
    Optional<String> settled) {

  static final String SAME = "same";
  static final String FIRST = "first";
  static final String SECOND = "second";

  /** The id of a prompt with two responses in this order. */
  static String id(List<Turn> dialogue, String first, String second) {
    MessageDigest digest = Sha256.newDigest();
    for (Turn turn : dialogue) {
      add(digest, turn.getRole().name());
      add(digest, turn.getContent());
    }
    add(digest, first);
    add(digest, second);
    return Sha256.finish(digest);
  }

  /** The length keeps neighbours apart. */
  private static void add(MessageDigest digest, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    digest.update(ByteBuffer.allocate(Integer.BYTES).putInt(bytes.length).flip());
    digest.update(bytes);
  }

  /** The result of two responses that need no judgment; a judgment needs two texts that differ. */
  static Optional<String> settled(String first, String second) {
    if (first.strip().equals(second.strip())) {
      return Optional.of(SAME);
    }
    if (first.isBlank()) {
      return Optional.of(SECOND);
    }
    return second.isBlank() ? Optional.of(FIRST) : Optional.empty();
  }

  String line() {
    ObjectNode line = new ObjectMapper().createObjectNode();
    line.put("pair", pair);
    line.put("promptId", promptId);
    line.put("isSafety", isSafety);
    line.put("first", first);
    line.put("second", second);
    settled.ifPresent(result -> line.put("settled", result));
    return line.toString();
  }

  /**
   * Reads a line.
   *
   * @throws io.millrace.schemas.UnusableRecordException if it is no line of a key
   */
  static ComparedPair read(String text) {
    JsonNode line = StrictJson.read(text);
    String settled = line.path("settled").asText();
    if (!List.of("", SAME, FIRST, SECOND).contains(settled)) {
      throw refused("settled is \"" + settled + "\"; it must be same, first or second");
    }
    return new ComparedPair(
        text(line, "pair"),
        text(line, "promptId"),
        line.path("isSafety").asBoolean(),
        text(line, "first"),
        text(line, "second"),
        settled.isEmpty() ? Optional.empty() : Optional.of(settled));
  }

  private static String text(JsonNode line, String field) {
    if (!line.path(field).isTextual()) {
      throw refused(
          "%s is %s; name the key.jsonl that evaluation pairs wrote"
              .formatted(field, line.path(field).isMissingNode() ? "missing" : "no text"));
    }
    return line.path(field).textValue();
  }

  private static RefusedRecordException refused(String message) {
    return new RefusedRecordException("invalid", message);
  }
}
