package io.millrace.jobs.config;

import io.millrace.connectors.checkpoint.store.CheckpointStore;
import java.net.URI;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The values that an {@link Option} allows. */
final class Bounds {

  private final Class<?> type;
  private final Option option;

  /**
   * Bounds of one value.
   *
   * @param type of the value; for a list, of its elements
   */
  Bounds(Class<?> type, Option option) {
    this.type = type;
    this.option = option;
  }

  /**
   * Parses a value and checks it.
   *
   * @throws IllegalArgumentException with the allowed values and the text, without the key
   */
  Object parse(String text) {
    Object value;
    try {
      value = Values.parse(type, text);
    } catch (IllegalArgumentException e) {
      throw refused(text, e);
    }
    if (!contains(value) || (option.required() && text.isBlank())) {
      throw refused(text, null);
    }
    if (option.path()) {
      checkLocation(text);
    }
    return value;
  }

  private boolean contains(Object value) {
    return (option.min().isEmpty() || compare(value, option.min()) >= 0)
        && (option.max().isEmpty() || compare(value, option.max()) <= 0)
        && (option.above().isEmpty() || compare(value, option.above()) > 0)
        && (option.below().isEmpty() || compare(value, option.below()) < 0);
  }

  @SuppressWarnings("unchecked") // Both come from Values.parse with the same type.
  private int compare(Object value, String bound) {
    return ((Comparable<Object>) value).compareTo(Values.parse(type, bound));
  }

  private IllegalArgumentException refused(String text, Throwable cause) {
    return new IllegalArgumentException(
        "must be %s%s, not '%s'".formatted(this, Values.examples(type), text), cause);
  }

  private void checkLocation(String text) {
    if (text.equals("~") || text.startsWith("~/")) {
      throw new IllegalArgumentException(
          "must be %s, not '%s'; write the home directory in full: nothing expands ~ here"
              .formatted(this, text));
    }
    boolean isLocal;
    try {
      isLocal = CheckpointStore.isLocal(text);
      var _ = isLocal ? Path.of(text) : URI.create(text);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          "must be %s, not '%s' (%s)".formatted(this, text, e.getMessage()), e);
    }
    if (option.local() && !isLocal) {
      throw refused(text, null);
    }
  }

  /** The allowed values in words, such as "a whole number from 1 to 256". */
  @Override
  public String toString() {
    if (option.path()) {
      return option.local() ? "a path on this machine" : "a path or a URI";
    }
    if (type == String.class) {
      return option.required() ? "a text that is not empty" : "a text";
    }
    String range = range();
    return range.isEmpty() ? Values.describe(type) : Values.describe(type) + " " + range;
  }

  private String range() {
    if (!option.min().isEmpty() && !option.max().isEmpty()) {
      return "from %s to %s".formatted(option.min(), option.max());
    }
    List<String> parts = new ArrayList<>();
    add(parts, "of at least ", option.min());
    add(parts, "above ", option.above());
    add(parts, "below ", option.below());
    add(parts, "at most ", option.max());
    return String.join(" and ", parts);
  }

  private static void add(List<String> parts, String word, String bound) {
    if (!bound.isEmpty()) {
      parts.add(word + bound);
    }
  }
}
