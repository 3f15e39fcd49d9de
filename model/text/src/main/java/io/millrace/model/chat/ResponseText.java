package io.millrace.model.chat;

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

  private final ChatTemplate template;
  private int[] tokens = new int[16];
  private int length;
  private int given;

  public ResponseText(ChatTemplate template) {
    this.template = template;
  }

  /**
   * Adds a token.
   *
   * @return the text that is certain now and was not returned before; often empty
   */
  public String add(int token) {
    if (length == tokens.length) {
      tokens = Arrays.copyOf(tokens, 2 * length);
    }
    tokens[length++] = token;
    String text = text();
    int certain = text.length();
    while (certain > given
        && (text.charAt(certain - 1) == INCOMPLETE
            || Character.isWhitespace(text.charAt(certain - 1)))) {
      certain--;
    }
    return part(text, certain);
  }

  /** The rest of the text, after the last token. */
  public String end() {
    String text = text();
    return part(text, text.length());
  }

  /** The whole text so far. */
  public String text() {
    return template.responseText(Arrays.copyOf(tokens, length));
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
