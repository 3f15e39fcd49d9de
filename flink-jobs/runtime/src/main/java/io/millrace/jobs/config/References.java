package io.millrace.jobs.config;

import io.millrace.schemas.PlainFiles;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * References to secrets in a configuration: {@code ${env:NAME}} stands for an environment variable,
 * {@code ${file:PATH}} for the content of a file without its last line break.
 */
public final class References {

  private static final Pattern REFERENCE = Pattern.compile("\\$\\{(env|file):([^}]*)}");

  /** Far above any password or key. */
  private static final int MOST_BYTES = 1 << 16;

  private final Map<String, String> environment;

  References(Map<String, String> environment) {
    this.environment = environment;
  }

  /**
   * Replaces every reference in the values of a map, with the environment and the files of this
   * process. Sections keep the references, so that a job's graph holds no secret.
   *
   * @throws IllegalArgumentException if a variable or file does not exist
   */
  public static Map<String, String> resolve(Map<String, String> texts) {
    References references = new References(System.getenv());
    Map<String, String> resolved = new LinkedHashMap<>();
    texts.forEach((key, text) -> resolved.put(key, references.resolve(text)));
    return resolved;
  }

  /**
   * Replaces every reference of a text.
   *
   * @throws IllegalArgumentException if a variable or file does not exist; the message holds no
   *     content
   */
  String resolve(String text) {
    return REFERENCE
        .matcher(text)
        .replaceAll(reference -> Matcher.quoteReplacement(content(reference)));
  }

  private String content(MatchResult reference) {
    String name = reference.group(2);
    if (reference.group(1).equals("file")) {
      return file(name);
    }
    String value = environment.get(name);
    if (value == null) {
      throw new IllegalArgumentException(
          "refers to the environment variable '" + name + "', which is not set here; set it");
    }
    return value;
  }

  private static String file(String path) {
    try {
      return PlainFiles.readText(Path.of(path), MOST_BYTES).stripTrailing();
    } catch (IOException | InvalidPathException e) {
      String reason =
          e instanceof FileSystemException file && file.getReason() != null
              ? file.getReason()
              : e.getClass().getSimpleName();
      throw new IllegalArgumentException(
          "refers to the file '%s', which cannot be read (%s); correct the path or its permissions"
              .formatted(path, reason),
          e);
    }
  }
}
