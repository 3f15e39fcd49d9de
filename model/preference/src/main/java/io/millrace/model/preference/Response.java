package io.millrace.model.preference;

import io.millrace.model.llama.TokenArrays;
import io.millrace.model.training.Checks;
import java.util.Arrays;
import java.util.List;

/**
 * A prompt with a response, in tokens.
 *
 * @param tokens of the prompt and, after them, of the response, {@code [tokens]}
 * @param promptTokens number of the prompt's tokens, at least 1 and fewer than all
 */
public record Response(int[] tokens, int promptTokens) {

  public Response {
    Checks.that(
        promptTokens >= 1 && promptTokens < tokens.length,
        "promptTokens",
        promptTokens,
        "1 to below " + tokens.length + ", all tokens");
  }

  /** A response after its prompt. */
  public static Response of(int[] prompt, int[] response) {
    return new Response(TokenArrays.join(prompt, response), prompt.length);
  }

  /** Number of the response's tokens. */
  public int length() {
    return tokens.length - promptTokens;
  }

  int[] prompt() {
    return Arrays.copyOf(tokens, promptTokens);
  }

  int[] response() {
    return Arrays.copyOfRange(tokens, promptTokens, tokens.length);
  }

  static List<int[]> sequences(List<Response> responses) {
    return responses.stream().map(Response::tokens).toList();
  }
}
