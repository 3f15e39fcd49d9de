package io.millrace.model.chat;

/**
 * A whole dialogue as tokens to learn from.
 *
 * @param tokens n tokens
 * @param learned n flags: whether the prediction of that token counts in the loss, true for the
 *     tokens of assistant turns and the eos after each
 */
public record ChatExample(int[] tokens, boolean[] learned) {
  public ChatExample {
    if (tokens.length != learned.length) {
      throw new IllegalArgumentException(
          "%d tokens with %d flags".formatted(tokens.length, learned.length));
    }
  }
}
