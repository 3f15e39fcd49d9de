package io.millrace.model.tokenizer;

/**
 * The longest text that the native library gets, in bytes of UTF-8.
 *
 * @param bytes the limit
 * @param reason where the limit comes from, for messages
 */
record TextLimit(int bytes, String reason) {
  /**
   * Some 500,000 tokens of ordinary text. The library needs some 400 bytes of memory for each byte
   * of text, and its regex engine ends the process after some 6 MiB of spaces.
   */
  private static final int MOST_BYTES = 2 << 20;

  private static final int LEAST_BYTES = 1 << 12;

  /**
   * The limit of a tokenizer without a model.
   *
   * @param growth bytes that a byte of text can become before it is split into tokens, at least 1
   */
  static TextLimit of(int growth) {
    return new TextLimit(MOST_BYTES / growth, "the limit of the tokenizer");
  }

  /**
   * The limit for texts of at most {@code tokens} tokens. A longer text has more tokens.
   *
   * @param longest bytes of the longest token
   * @param shrinkage bytes of text that can become one byte before it is split into tokens
   */
  TextLimit withTokens(int tokens, int longest, int shrinkage) {
    long most = Math.max(LEAST_BYTES, Math.min((long) tokens * longest, MOST_BYTES) * shrinkage);
    return most >= bytes
        ? this
        : new TextLimit((int) most, "the most that %d tokens can hold".formatted(tokens));
  }

  /**
   * Checks a text.
   *
   * @throws TextTooLongException if it is longer than the limit
   */
  void require(String text) {
    if (text.length() > bytes || (text.length() > bytes / 3 && utf8Length(text) > bytes)) {
      throw new TextTooLongException(text, bytes, reason);
    }
  }

  /** Bytes of the UTF-8 of a text; an unpaired surrogate counts as U+FFFD, three bytes. */
  private static long utf8Length(String text) {
    return text.codePoints()
        .mapToLong(c -> c < 0x80 ? 1 : c < 0x800 ? 2 : Character.isBmpCodePoint(c) ? 3 : 4)
        .sum();
  }
}
