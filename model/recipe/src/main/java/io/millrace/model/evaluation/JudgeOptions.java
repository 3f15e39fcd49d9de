package io.millrace.model.evaluation;

import java.net.URI;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;

/** Reads a judge's options one by one. Options that were not read are unknown. */
public final class JudgeOptions {

  private final Map<String, String> left;
  private final StringBuilder known = new StringBuilder();

  public JudgeOptions(Map<String, String> options) {
    this.left = new HashMap<>(options);
  }

  public String text(String key, String fallback) {
    known.append(known.isEmpty() ? "" : ", ").append(key);
    String value = left.remove(key);
    return value == null ? fallback : value.strip();
  }

  public String required(String key) {
    String value = text(key, "");
    if (value.isEmpty()) {
      throw new IllegalArgumentException(key + " is missing");
    }
    return value;
  }

  public double notNegative(String key, double fallback) {
    String text = text(key, Double.toString(fallback));
    try {
      double value = Double.parseDouble(text);
      if (value >= 0 && Double.isFinite(value)) {
        return value;
      }
    } catch (NumberFormatException e) {
      // Reported below, with the value.
    }
    throw new IllegalArgumentException(key + " must be a number of at least 0, not '" + text + "'");
  }

  public int count(String key, int fallback, int least) {
    String text = text(key, Integer.toString(fallback));
    try {
      int value = Integer.parseInt(text);
      if (value >= least) {
        return value;
      }
    } catch (NumberFormatException e) {
      // Reported below, with the value.
    }
    throw new IllegalArgumentException(
        "%s must be a whole number of at least %d, not '%s'".formatted(key, least, text));
  }

  /** A number of seconds. */
  public Duration seconds(String key, double fallback) {
    return Duration.ofMillis(Math.round(1000 * notNegative(key, fallback)));
  }

  public boolean flag(String key) {
    String text = text(key, "false");
    return switch (text) {
      case "true" -> true;
      case "false" -> false;
      default ->
          throw new IllegalArgumentException(key + " must be true or false, not '" + text + "'");
    };
  }

  public URI http(String key) {
    String text = required(key);
    try {
      URI uri = URI.create(text);
      if (uri.getHost() != null
          && ("http".equals(uri.getScheme()) || "https".equals(uri.getScheme()))) {
        return uri;
      }
    } catch (IllegalArgumentException e) {
      // Reported below, with the value.
    }
    throw new IllegalArgumentException(key + " must be like https://host/v1, not '" + text + "'");
  }

  /**
   * Checks, after all options are read, that there is no other option.
   *
   * @throws IllegalArgumentException with the first unknown option, by name
   */
  public void end() {
    left.keySet().stream()
        .sorted()
        .findFirst()
        .ifPresent(
            key -> {
              throw new IllegalArgumentException(
                  "unknown option %s; options: %s".formatted(key, known));
            });
  }
}
