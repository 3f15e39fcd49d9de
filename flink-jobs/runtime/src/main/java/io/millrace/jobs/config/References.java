package io.millrace.jobs.config;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Secrets that a configuration names and does not hold: {@code ${env:NAME}} is an environment
 * variable, {@code ${file:PATH}} the content of a file without the line break at its end.
 */
public final class References {

  private static final Pattern REFERENCE = Pattern.compile("\\$\\{(env|file):([^}]*)}");

  private final Map<String, String> environment;

  public References(Map<String, String> environment) {
    this.environment = environment;
  }

  /**
   * The text with what it refers to in place.
   *
   * @throws IllegalArgumentException when there is no such variable or file; never tells a content
   */
  public String resolve(String text) {
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
          "refers to the environment variable '" + name + "', which is not set here");
    }
    return value;
  }

  private static String file(String path) {
    try {
      return Files.readString(Path.of(path)).stripTrailing();
    } catch (IOException | InvalidPathException e) {
      throw new IllegalArgumentException(
          "refers to the file '%s', which cannot be read (%s)"
              .formatted(path, e.getClass().getSimpleName()),
          e);
    }
  }
}
