package io.millrace.model.checkpoint;

import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.schemas.PlainFiles;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/**
 * Reads and writes the small JSON files of a checkpoint. Reading is strict and bounded. The same
 * content gives the same bytes.
 */
final class Json {
  /** In bytes; the index of the largest models has a few hundred kilobytes. */
  private static final int MAX_BYTES = 64 << 20;

  private static final int MAX_DEPTH = 64;

  private static final JsonMapper MAPPER =
      JsonMapper.builder(
              new JsonFactoryBuilder()
                  .streamReadConstraints(
                      StreamReadConstraints.builder().maxNestingDepth(MAX_DEPTH).build())
                  .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                  .build())
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private Json() {}

  static ObjectNode object() {
    return MAPPER.createObjectNode();
  }

  /**
   * Reads a file with one JSON object.
   *
   * @throws CheckpointException if the file cannot be read, is too large, or is not a JSON object
   */
  static ObjectNode read(Path file) {
    try {
      return parse(file, PlainFiles.readText(file, MAX_BYTES));
    } catch (NoSuchFileException e) {
      throw CheckpointException.of(file, "no such file", e);
    } catch (CharacterCodingException e) {
      throw CheckpointException.of(file, "is not UTF-8 text", e);
    } catch (IOException e) {
      throw CheckpointException.of(file, "cannot be read: " + PlainFiles.reason(e), e);
    }
  }

  /** Parses one JSON object; {@code file} is for error messages only. */
  static ObjectNode parse(Path file, String text) {
    try {
      if (MAPPER.readTree(text) instanceof ObjectNode object) {
        return object;
      }
      throw CheckpointException.of(file, "is not a JSON object");
    } catch (JsonProcessingException e) {
      throw CheckpointException.of(file, "not well-formed JSON: " + e.getOriginalMessage(), e);
    }
  }

  /** Indented text with line feeds on every platform, and one at the end. */
  static String text(JsonNode node) {
    DefaultPrettyPrinter printer =
        new DefaultPrettyPrinter().withObjectIndenter(new DefaultIndenter("  ", "\n"));
    try {
      return MAPPER.writer(printer).writeValueAsString(node) + "\n";
    } catch (JsonProcessingException e) {
      throw new AssertionError("a tree of plain values can always be written", e);
    }
  }
}
