package io.millrace.model.chat;

import io.millrace.model.tokenizer.Tokenizer;
import java.util.Arrays;

/**
 * The text of a response while its tokens are sampled. The parts together are {@link
 * ChatTemplate#responseText} of all tokens.
 *
 * <p>A character of several tokens comes with its last token. A space at the end comes with the
 * text after it, because the form may not count it as the response's own.
 */
public final class ResponseText {

  /** What a decoder puts in place of bytes that are no whole character. */
  private static final char INCOMPLETE = '\ufffd';

  /** Tokens that are decoded together; earlier ones are not decoded again. */
  private static final int WINDOW = 16;

  private final Tokenizer tokenizer;
  private final ChatTemplate template;

  /** Text of the tokens before the window, which ends with a whole character. */
  private final StringBuilder decoded = new StringBuilder();

  private int[] window = new int[WINDOW];
  private int length;
  private boolean ended;
  private int given;

  public ResponseText(ChatTemplate template) {
    this.template = template;
    this.tokenizer = template.tokenizer;
  }

  /** The text that continues another text, without a chat template. */
  public ResponseText(Tokenizer tokenizer) {
    this.template = null;
    this.tokenizer = tokenizer;
  }

  /**
   * Adds a token.
   *
   * @return the text that is certain now and was not returned before; often empty
   */
  public String add(int token) {
    take(token);
    String text = text();
    int certain = text.length();
    while (certain > given
        && (text.charAt(certain - 1) == INCOMPLETE
            || Character.isWhitespace(text.charAt(certain - 1)))) {
      certain--;
    }
    return part(text, certain);
  }

  private void take(int token) {
    ended |= template != null && token == template.endToken();
    if (ended) {
      return;
    }
    if (length >= WINDOW) {
      String text = tokenizer.decodeContinuation(Arrays.copyOf(window, length));
      if (!text.isEmpty() && text.charAt(text.length() - 1) != INCOMPLETE) {
        decoded.append(text);
        length = 0;
      }
    }
    if (length == window.length) {
      window = Arrays.copyOf(window, 2 * length);
    }
    window[length++] = token;
  }

  /** The rest of the text, after the last token. */
  public String end() {
    String text = text();
    return part(text, text.length());
  }

  /** The whole text so far. */
  public String text() {
    String text = decoded + tokenizer.decodeContinuation(Arrays.copyOf(window, length));
    return template == null ? text : template.contentOf(text, ended);
  }

  private String part(String text, int end) {
    if (end <= given) {
      return "";
    }
    String part = text.substring(given, end);
    given = end;
    return part;
  }
}
