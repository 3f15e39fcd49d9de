package io.millrace.report.chart;

/** Texts as HTML. What people and models wrote is hostile input: it stays text. */
public final class Html {

  private static final int REPLACEMENT = 0xFFFD;

  private Html() {}

  /** The text with everything replaced that would be markup, or that no XML may hold. */
  public static String escape(String text) {
    StringBuilder html = new StringBuilder(text.length() + 16);
    text.codePoints()
        .forEach(
            c -> {
              switch (c) {
                case '&' -> html.append("&amp;");
                case '<' -> html.append("&lt;");
                case '>' -> html.append("&gt;");
                case '"' -> html.append("&quot;");
                case '\'' -> html.append("&#39;");
                default -> html.appendCodePoint(isAllowed(c) ? c : REPLACEMENT);
              }
            });
    return html.toString();
  }

  /** XML 1.0, section 2.2: no control characters, no lone surrogates. */
  private static boolean isAllowed(int c) {
    return c == '\t'
        || c == '\n'
        || c == '\r'
        || (c >= 0x20 && c <= 0xD7FF)
        || (c >= 0xE000 && c <= 0xFFFD)
        || c >= 0x10000;
  }
}
