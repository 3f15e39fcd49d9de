package io.millrace.model.tokenizer;

import io.millrace.schemas.PlainFiles;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * The files of a tokenizer, byte for byte. A tokenizer is published with exactly the files that
 * were read.
 *
 * @param origin origin of the files for error messages, such as a path
 * @param contents bytes by file name; not copied, must not be modified
 */
public record TokenizerFiles(String origin, Map<String, byte[]> contents) {
  public static final String TOKENIZER = "tokenizer.json";
  public static final String CONFIG = "tokenizer_config.json";
  static final String TEMPLATE = "chat_template.jinja";
  static final String SPECIAL_TOKENS = "special_tokens_map.json";

  /** The file names of Hugging Face tokenizers; only the first two are required. */
  private static final List<String> NAMES =
      List.of(TOKENIZER, CONFIG, TEMPLATE, SPECIAL_TOKENS, "tokenizer.model");

  /** The largest vocabularies in use have about 35 MB. */
  private static final int MAX_BYTES = 128 << 20;

  public TokenizerFiles {
    contents = Map.copyOf(contents);
    for (String name : List.of(TOKENIZER, CONFIG)) {
      if (!contents.containsKey(name)) {
        throw new TokenizerException(
            origin, "has no " + name + "; a tokenizer needs " + TOKENIZER + " and " + CONFIG);
      }
    }
  }

  /**
   * Reads the files of a directory.
   *
   * @throws TokenizerException naming the file and the problem, if one cannot be read
   */
  public static TokenizerFiles read(Path directory) {
    Map<String, byte[]> contents = new TreeMap<>();
    for (String name : NAMES) {
      Path file = directory.resolve(name);
      try {
        if (!Files.exists(file)) {
          continue;
        }
        contents.put(name, PlainFiles.read(file, MAX_BYTES));
      } catch (IOException e) {
        throw new TokenizerException(file.toString(), "cannot be read: " + PlainFiles.reason(e), e);
      }
    }
    return new TokenizerFiles(directory.toString(), contents);
  }

  /**
   * The same tokenizer with another chat template: in its own file if there is one, which takes
   * precedence, else in {@code tokenizer_config.json}.
   *
   * @param source Jinja source
   */
  public TokenizerFiles withChatTemplate(String source) {
    Map<String, byte[]> changed = new TreeMap<>(contents);
    if (contents.containsKey(TEMPLATE)) {
      changed.put(TEMPLATE, source.getBytes(StandardCharsets.UTF_8));
    } else {
      String text =
          Json.object(where(CONFIG), contents.get(CONFIG))
              .put("chat_template", source)
              .toPrettyString();
      changed.put(CONFIG, (text + "\n").getBytes(StandardCharsets.UTF_8));
    }
    return new TokenizerFiles(origin, changed);
  }

  /** Whether two tokenizers have the same files, byte for byte. */
  public boolean sameAs(TokenizerFiles other) {
    return contents.keySet().equals(other.contents.keySet())
        && contents.entrySet().stream()
            .allMatch(file -> Arrays.equals(file.getValue(), other.contents.get(file.getKey())));
  }

  /**
   * Writes the files. Creates the directory if necessary. A file that differs is replaced in one
   * step.
   *
   * @throws TokenizerException if a file cannot be written
   */
  public void write(Path directory) {
    try {
      Files.createDirectories(directory);
      for (Map.Entry<String, byte[]> file : contents.entrySet()) {
        Path to = directory.resolve(file.getKey());
        if (!Files.exists(to)) {
          Files.write(to, file.getValue());
        } else if (!Arrays.equals(PlainFiles.read(to, MAX_BYTES), file.getValue())) {
          Path replacement = Files.createTempFile(directory, "." + file.getKey(), null);
          Files.setPosixFilePermissions(replacement, Files.getPosixFilePermissions(to));
          Files.write(replacement, file.getValue());
          Files.move(replacement, to, StandardCopyOption.ATOMIC_MOVE);
        }
      }
    } catch (IOException e) {
      throw new TokenizerException(
          directory.toString(), "the tokenizer cannot be written: " + e.getMessage(), e);
    }
  }

  Optional<byte[]> optional(String name) {
    return Optional.ofNullable(contents.get(name));
  }

  /** The name of one of the files in error messages. */
  String where(String name) {
    return origin + "/" + name;
  }
}
