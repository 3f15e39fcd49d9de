package io.millrace.model.tokenizer;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;

/** Reads the JSON of tokenizer files. It is strict, because the files can come from anywhere. */
public final class Json {
  /** Refuses duplicate keys: two readers could take different vocabularies from such a file. */
  public static final JsonMapper MAPPER =
      JsonMapper.builder(
              JsonFactory.builder()
                  .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                  .streamReadConstraints(
                      StreamReadConstraints.builder().maxNestingDepth(100).build())
                  .build())
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private Json() {}

  /**
   * Parses a JSON object.
   *
   * @param where the file, for error messages
   * @throws TokenizerException if the bytes are not a JSON object
   */
  static ObjectNode object(String where, byte[] bytes) {
    JsonNode node;
    try {
      node = MAPPER.readTree(bytes);
    } catch (IOException e) {
      throw new TokenizerException(where, "is not JSON: " + firstLine(e.getMessage()), e);
    }
    if (node instanceof ObjectNode object) {
      return object;
    }
    throw new TokenizerException(where, "is not a JSON object");
  }

  private static String firstLine(String message) {
    return message.lines().findFirst().orElse("");
  }
}
