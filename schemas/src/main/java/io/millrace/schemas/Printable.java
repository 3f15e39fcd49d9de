package io.millrace.schemas;

import java.util.regex.Pattern;

/**
 * Makes foreign text safe to print to a terminal. Control characters could clear the screen, forge
 * lines, or change the title of the window; marks of direction could make text read otherwise than
 * it is.
 */
public final class Printable {
  /** Control characters of both sets, marks of direction, line and paragraph separators. */
  private static final Pattern CONTROL =
      Pattern.compile("[\\p{Cc}\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069]");

  private Printable() {}

  /** Whether a terminal would obey a character, or show others in another order because of it. */
  static boolean isControl(int codePoint) {
    return Character.isISOControl(codePoint)
        || codePoint == 0x61c
        || codePoint == 0x200e
        || codePoint == 0x200f
        || (codePoint >= 0x2028 && codePoint <= 0x202e)
        || (codePoint >= 0x2066 && codePoint <= 0x2069);
  }

  /** A text of several lines: line breaks and tabs stay, other control characters are escaped. */
  public static String text(String text) {
    return CONTROL
        .matcher(text)
        .replaceAll(
            control ->
                control.group().equals("\n") || control.group().equals("\t")
                    ? control.group()
                    : escaped(control.group()));
  }

  /** A text in one line: all control characters are escaped, such as {@code \u001b}. */
  public static String line(String text) {
    return CONTROL.matcher(text).replaceAll(control -> escaped(control.group()));
  }

  private static String escaped(String control) {
    return switch (control) {
      case "\n" -> "\\\\n";
      case "\r" -> "\\\\r";
      case "\t" -> "\\\\t";
      default -> "\\\\u%04x".formatted((int) control.charAt(0));
    };
  }
}
