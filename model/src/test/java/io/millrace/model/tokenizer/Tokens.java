package io.millrace.model.tokenizer;

import java.util.Arrays;
import java.util.stream.IntStream;

/** Short spellings for arrays of tokens. */
final class Tokens {
  private Tokens() {}

  static int[] of(int... tokens) {
    return tokens;
  }

  static int[] join(int[]... parts) {
    return Arrays.stream(parts).flatMapToInt(IntStream::of).toArray();
  }
}
