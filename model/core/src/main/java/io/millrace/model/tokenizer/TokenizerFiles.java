package io.millrace.model.tokenizer;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * The files that make up a tokenizer, byte for byte, so that what is read is what is published.
 *
 * @param origin where they come from, for messages: a path, or what made them
 * @param contents file name to bytes; not copied, so not to be written to
 */
public record TokenizerFiles(String origin, Map<String, byte[]> contents) {
  public static final String TOKENIZER = "tokenizer.json";
  public static final String CONFIG = "tokenizer_config.json";
  static final String TEMPLATE = "chat_template.jinja";
  static final String SPECIAL_TOKENS = "special_tokens_map.json";

  /**
   * Every file that tokenizers of Hugging Face directories consist of; the first two are needed.
   */
  private static final List<String> NAMES =
      List.of(TOKENIZER, CONFIG, TEMPLATE, SPECIAL_TOKENS, "tokenizer.model");

  /** The largest vocabularies in use take some 35 MB; more is no tokenizer. */
  private static final long MAX_BYTES = 128L << 20;

  public TokenizerFiles {
    contents = Map.copyOf(contents);
    for (String name : List.of(TOKENIZER, CONFIG)) {
      if (!contents.containsKey(name)) {
        throw new TokenizerException(
            origin, "no " + name + " there; a tokenizer needs " + TOKENIZER + " and " + CONFIG);
      }
    }
  }

  static TokenizerFiles read(Path directory) {
    Map<String, byte[]> contents = new TreeMap<>();
    for (String name : NAMES) {
      Path file = directory.resolve(name);
      try {
        if (!Files.exists(file)) {
          continue;
        }
        long size = Files.size(file);
        if (size > MAX_BYTES) {
          throw new TokenizerException(
              file.toString(), size + " bytes, more than the " + MAX_BYTES + " of any tokenizer");
        }
        contents.put(name, Files.readAllBytes(file));
      } catch (IOException e) {
        throw new TokenizerException(file.toString(), "cannot be read: " + e.getMessage(), e);
      }
    }
    return new TokenizerFiles(directory.toString(), contents);
  }

  public void write(Path directory) {
    try {
      Files.createDirectories(directory);
      for (Map.Entry<String, byte[]> file : contents.entrySet()) {
        Files.write(directory.resolve(file.getKey()), file.getValue());
      }
    } catch (IOException e) {
      throw new TokenizerException(
          directory.toString(), "the tokenizer cannot be written: " + e.getMessage(), e);
    }
  }

  Optional<byte[]> optional(String name) {
    return Optional.ofNullable(contents.get(name));
  }

  /** How a file of these is called in messages. */
  String where(String name) {
    return origin + "/" + name;
  }
}
