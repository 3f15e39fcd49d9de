package io.millrace.model.chat;

/**
 * A dialogue as a training example.
 *
 * @param tokens token ids, {@code [n]}
 * @param learned whether the prediction of each token counts in the loss, {@code [n]}: true for the
 *     tokens of assistant turns and the eos after each
 */
public record ChatExample(int[] tokens, boolean[] learned) {
  public ChatExample {
    if (tokens.length != learned.length) {
      throw new IllegalArgumentException(
          "chat example: %d tokens and %d flags; give one flag for each token"
              .formatted(tokens.length, learned.length));
    }
  }
}
