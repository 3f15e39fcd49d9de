package io.millrace.jobs.config;

import java.util.ArrayList;
import java.util.List;

/** The bounds of an {@link Option}, for values of its type. */
final class Bounds {

  private final Class<?> type;
  private final Option option;

  Bounds(Class<?> type, Option option) {
    this.type = type;
    this.option = option;
  }

  /**
   * Checks a value.
   *
   * @param text the value as it was given, for the message
   * @throws IllegalArgumentException naming the bound that the value violates
   */
  void check(Object value, String text) {
    if (option.required() && text.isBlank()) {
      throw new IllegalArgumentException("must not be empty");
    }
    boolean inside =
        (option.min().isEmpty() || compare(value, option.min()) >= 0)
            && (option.max().isEmpty() || compare(value, option.max()) <= 0)
            && (option.above().isEmpty() || compare(value, option.above()) > 0)
            && (option.below().isEmpty() || compare(value, option.below()) < 0);
    if (!inside) {
      throw new IllegalArgumentException("must be %s, not %s".formatted(this, text.strip()));
    }
  }

  @SuppressWarnings("unchecked") // Both come from Values.parse with the same type.
  private int compare(Object value, String bound) {
    return ((Comparable<Object>) value).compareTo(Values.parse(type, bound));
  }

  /** The bounds in words, such as "at least 2"; empty if there are none. */
  @Override
  public String toString() {
    if (!option.min().isEmpty() && !option.max().isEmpty()) {
      return "from %s to %s".formatted(option.min(), option.max());
    }
    List<String> parts = new ArrayList<>();
    add(parts, "at least ", option.min());
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
