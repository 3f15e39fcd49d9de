package io.millrace.model.tokenizer;

/**
 * A text that is too long to be tokenized. The native library never sees it: on long texts the
 * library can end the process, for want of memory or by a limit of its regex engine.
 */
public final class TextTooLongException extends IllegalArgumentException {
  private static final long serialVersionUID = 1L;

  /**
   * @param limit the most bytes of a text
   * @param reason where the limit comes from
   */
  TextTooLongException(String text, int limit, String reason) {
    super(
        "a text of %d characters is longer than %d bytes, %s; shorten it"
            .formatted(text.length(), limit, reason));
  }
}
