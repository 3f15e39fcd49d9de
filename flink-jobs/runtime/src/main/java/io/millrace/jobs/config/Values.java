package io.millrace.jobs.config;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.configuration.MemorySize;

/** Texts to values; an error says what was expected and what stood there. */
final class Values {

  private static final Pattern DURATION = Pattern.compile("(\\d+)\\s*(ms|s|m|h|d)");

  private static final Duration LONGEST = Duration.ofDays(365);

  private Values() {}

  static Object parse(Class<?> type, String text) {
    if (type == String.class) {
      return text;
    } else if (type == Path.class) {
      return Path.of(text);
    } else if (type == boolean.class) {
      return switch (text) {
        case "true" -> true;
        case "false" -> false;
        default -> throw expected("true or false", text);
      };
    } else if (type == int.class || type == Integer.class) {
      return (int) number(text, Integer.MIN_VALUE, Integer.MAX_VALUE);
    } else if (type == long.class || type == Long.class) {
      return number(text, Long.MIN_VALUE, Long.MAX_VALUE);
    } else if (type == double.class || type == Double.class) {
      return decimal(text);
    } else if (type == Duration.class) {
      return duration(text);
    } else if (type == MemorySize.class) {
      return size(text);
    } else if (type.isEnum()) {
      return constant(type, text);
    }
    throw new IllegalStateException("no way to read a " + type);
  }

  private static long number(String text, long min, long max) {
    try {
      long value = Long.parseLong(text.replace("_", "").strip());
      if (value >= min && value <= max) {
        return value;
      }
    } catch (NumberFormatException e) {
      // Told below, with what stood there.
    }
    throw expected("a whole number", text);
  }

  private static double decimal(String text) {
    try {
      double value = Double.parseDouble(text.strip());
      if (Double.isFinite(value)) {
        return value;
      }
    } catch (NumberFormatException e) {
      // Told below, with what stood there.
    }
    throw expected("a number", text);
  }

  private static Duration duration(String text) {
    Matcher matcher = DURATION.matcher(text.strip());
    if (!matcher.matches()) {
      throw expected("a duration such as 500ms, 30s, 5m, 2h", text);
    }
    try {
      long amount = Long.parseLong(matcher.group(1));
      Duration duration =
          switch (matcher.group(2)) {
            case "ms" -> Duration.ofMillis(amount);
            case "s" -> Duration.ofSeconds(amount);
            case "m" -> Duration.ofMinutes(amount);
            case "h" -> Duration.ofHours(amount);
            default -> Duration.ofDays(amount);
          };
      if (duration.compareTo(LONGEST) <= 0) {
        return duration;
      }
    } catch (NumberFormatException | ArithmeticException e) {
      // Told below, with what stood there.
    }
    throw expected("a duration of at most 365d", text);
  }

  private static MemorySize size(String text) {
    try {
      return MemorySize.parse(text.strip());
    } catch (IllegalArgumentException e) {
      throw expected("a size such as 500mb or 20gb", text);
    }
  }

  private static Object constant(Class<?> type, String text) {
    String name = text.strip().toUpperCase(Locale.ROOT).replace('-', '_');
    List<String> names =
        Arrays.stream(type.getEnumConstants()).map(value -> ((Enum<?>) value).name()).toList();
    int index = names.indexOf(name);
    if (index < 0) {
      throw expected(
          "one of " + String.join(", ", names).toLowerCase(Locale.ROOT).replace('_', '-'), text);
    }
    return type.getEnumConstants()[index];
  }

  private static IllegalArgumentException expected(String what, String text) {
    return new IllegalArgumentException("must be " + what + ", not '" + text + "'");
  }
}
