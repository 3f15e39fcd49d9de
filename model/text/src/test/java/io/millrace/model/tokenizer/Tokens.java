package io.millrace.model.tokenizer;

import java.util.Arrays;
import java.util.stream.IntStream;

/** Short forms for arrays of tokens. */
public final class Tokens {
  private Tokens() {}

  public static int[] of(int... tokens) {
    return tokens;
  }

  public static int[] join(int[]... parts) {
    return Arrays.stream(parts).flatMapToInt(IntStream::of).toArray();
  }
}
