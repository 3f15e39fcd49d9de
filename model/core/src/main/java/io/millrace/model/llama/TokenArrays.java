package io.millrace.model.llama;

import java.util.Arrays;

/** Arrays of token ids. */
public final class TokenArrays {

  private TokenArrays() {}

  /** A prompt {@code [p]} followed by its response {@code [r]}: {@code [p + r]}. */
  public static int[] join(int[] prompt, int[] response) {
    int[] sequence = Arrays.copyOf(prompt, prompt.length + response.length);
    System.arraycopy(response, 0, sequence, prompt.length, response.length);
    return sequence;
  }
}
