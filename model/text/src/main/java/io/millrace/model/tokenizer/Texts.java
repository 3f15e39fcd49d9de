package io.millrace.model.tokenizer;

/** Unicode helpers for Java strings. */
public final class Texts {
  private Texts() {}

  /**
   * The text with every unpaired surrogate replaced by U+FFFD. An unpaired surrogate is not a
   * Unicode character. UTF-8 cannot encode it, and the native library would garble the text around
   * it.
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

  /** Whether a code point is an unpaired surrogate. */
  private static boolean isSurrogate(int codePoint) {
    return codePoint >= Character.MIN_SURROGATE && codePoint <= Character.MAX_SURROGATE;
  }

  /**
   * Python's {@code str.strip()}, which published chat templates call. Its set of white space
   * differs from that of {@link String#strip()}.
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

  /** Python's {@code str.isspace}. All its characters are in the Basic Multilingual Plane. */
  private static boolean isPythonSpace(char c) {
    return (c >= 0x09 && c <= 0x0D)
        || (c >= 0x1C && c <= 0x1F)
        || c == 0x85
        || Character.isSpaceChar(c);
  }
}
