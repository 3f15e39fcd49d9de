package io.millrace.model.evaluation;

import java.net.URI;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;

/** A judge's options, read one after another; what is left over is unknown. */
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
      throw new IllegalArgumentException(key + " must be given");
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
      // Told below, with what stood there.
    }
    throw new IllegalArgumentException(key + " must be a number from 0, not '" + text + "'");
  }

  public int count(String key, int fallback, int least) {
    String text = text(key, Integer.toString(fallback));
    try {
      int value = Integer.parseInt(text);
      if (value >= least) {
        return value;
      }
    } catch (NumberFormatException e) {
      // Told below, with what stood there.
    }
    throw new IllegalArgumentException(
        "%s must be a whole number from %d, not '%s'".formatted(key, least, text));
  }

  /** In seconds. */
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
      // Told below, with what stood there.
    }
    throw new IllegalArgumentException(key + " must be like https://host/v1, not '" + text + "'");
  }

  /** Called when every option was read. */
  public void end() {
    left.keySet().stream()
        .sorted()
        .findFirst()
        .ifPresent(
            key -> {
              throw new IllegalArgumentException(
                  "there is no option %s; there are %s".formatted(key, known));
            });
  }
}
