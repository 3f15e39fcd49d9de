package io.millrace.jobs.config;

import java.time.Duration;
import java.util.Arrays;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.flink.configuration.MemorySize;

/** Turns the texts of a configuration into values. */
final class Values {

  private static final Pattern DURATION = Pattern.compile("(\\d+)\\s*(ms|s|m|h|d)");

  /** Java's own parser would also take 1d, 0x1p3 and NaN. */
  private static final Pattern DECIMAL =
      Pattern.compile("[+-]?(\\d+(_\\d+)*(\\.\\d*)?|\\.\\d+)([eE][+-]?\\d+)?");

  private static final Pattern WHOLE = Pattern.compile("[+-]?\\d+(_\\d+)*");

  private Values() {}

  /**
   * Parses a value.
   *
   * @throws IllegalArgumentException if the text is no value of the type
   */
  static Object parse(Class<?> type, String text) {
    String stripped = text.strip();
    Object value;
    if (type == String.class) {
      value = text;
    } else if (type == boolean.class) {
      value = bool(stripped);
    } else if (type == int.class) {
      value = Integer.parseInt(whole(stripped));
    } else if (type == long.class) {
      value = Long.parseLong(whole(stripped));
    } else if (isDecimal(type)) {
      value = decimal(stripped);
    } else if (type == Duration.class) {
      value = duration(stripped);
    } else if (type == MemorySize.class) {
      value = MemorySize.parse(stripped);
    } else if (type.isEnum()) {
      value = constant(type, stripped);
    } else {
      throw new IllegalStateException("configuration options cannot have the type " + type);
    }
    return value;
  }

  /** The values of a type other than text in words, such as "a whole number". */
  static String describe(Class<?> type) {
    String words;
    if (type == boolean.class) {
      words = "true or false";
    } else if (type == int.class || type == long.class) {
      words = "a whole number";
    } else if (isDecimal(type)) {
      words = "a number";
    } else if (type == Duration.class) {
      words = "a duration";
    } else if (type == MemorySize.class) {
      words = "a size";
    } else {
      words = "one of " + constants(type);
    }
    return words;
  }

  /** How values with a unit are written, to follow {@link #describe}; empty for other types. */
  static String examples(Class<?> type) {
    if (type == Duration.class) {
      return ", such as 500ms, 30s, 5m, 2h or 1d";
    }
    return type == MemorySize.class ? ", such as 500mb or 20gb" : "";
  }

  private static boolean isDecimal(Class<?> type) {
    return type == double.class || type == Double.class;
  }

  private static boolean bool(String text) {
    return switch (text.toLowerCase(Locale.ROOT)) {
      case "true" -> true;
      case "false" -> false;
      default -> throw new IllegalArgumentException(text);
    };
  }

  private static String whole(String text) {
    if (!WHOLE.matcher(text).matches()) {
      throw new NumberFormatException(text);
    }
    return text.replace("_", "");
  }

  private static double decimal(String text) {
    if (DECIMAL.matcher(text).matches()) {
      double value = Double.parseDouble(text.replace("_", ""));
      if (Double.isFinite(value)) {
        return value;
      }
    }
    throw new NumberFormatException(text);
  }

  private static Duration duration(String text) {
    Matcher matcher = DURATION.matcher(text);
    if (!matcher.matches()) {
      throw new IllegalArgumentException(text);
    }
    long amount = Long.parseLong(matcher.group(1));
    try {
      return switch (matcher.group(2)) {
        case "ms" -> Duration.ofMillis(amount);
        case "s" -> Duration.ofSeconds(amount);
        case "m" -> Duration.ofMinutes(amount);
        case "h" -> Duration.ofHours(amount);
        default -> Duration.ofDays(amount);
      };
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException(text, e);
    }
  }

  private static Object constant(Class<?> type, String text) {
    return Arrays.stream(type.getEnumConstants())
        .filter(constant -> name(constant).equals(text.toLowerCase(Locale.ROOT).replace('_', '-')))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException(text));
  }

  private static String constants(Class<?> type) {
    return Arrays.stream(type.getEnumConstants())
        .map(Values::name)
        .collect(Collectors.joining(", "));
  }

  private static String name(Object constant) {
    return constant.toString().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
