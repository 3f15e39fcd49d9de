package io.millrace.model.tokenizer;

/** Unicode details of Java strings. */
public final class Texts {
  private Texts() {}

  /**
   * The text with every lone surrogate replaced by U+FFFD. Such halves are not Unicode characters:
   * UTF-8 cannot hold them, and the native library would garble the text around them.
   */
  public static String wellFormed(String text) {
    int length = text.length();
    for (int i = 0; i < length; ) {
      int c = text.codePointAt(i);
      if (isSurrogate(c)) {
        return replaceLoneSurrogates(text);
      }
      i += Character.charCount(c);
    }
    return text;
  }

  private static String replaceLoneSurrogates(String text) {
    StringBuilder mended = new StringBuilder(text.length());
    text.codePoints().forEach(c -> mended.appendCodePoint(isSurrogate(c) ? 0xFFFD : c));
    return mended.toString();
  }

  /** A code point in the surrogate range is one without its other half. */
  private static boolean isSurrogate(int codePoint) {
    return codePoint >= Character.MIN_SURROGATE && codePoint <= Character.MAX_SURROGATE;
  }

  /**
   * Python's {@code str.strip()}, which published chat templates call: it knows other white space
   * than {@link String#strip()}.
   */
  public static String pythonStrip(String text) {
    int start = 0;
    int end = text.length();
    while (start < end && isPythonSpace(text.charAt(start))) {
      start++;
    }
    while (end > start && isPythonSpace(text.charAt(end - 1))) {
      end--;
    }
    return text.substring(start, end);
  }

  /** {@code str.isspace} of Python; every such character lies in the basic plane. */
  private static boolean isPythonSpace(char c) {
    return (c >= 0x09 && c <= 0x0D)
        || (c >= 0x1C && c <= 0x1F)
        || c == 0x85
        || Character.isSpaceChar(c);
  }
}
