package io.millrace.model.tokenizer;

import java.nio.charset.StandardCharsets;

/**
 * The printable character that stands for each byte in a byte-level vocabulary (Radford et al.,
 * "Language Models are Unsupervised Multitask Learners", 2019): Latin-1's printable ones for
 * themselves, the others from U+0100 on.
 */
final class ByteAlphabet {

  private static final char[] CHARACTERS = characters();

  private ByteAlphabet() {}

  private static char[] characters() {
    char[] characters = new char[256];
    char next = 256;
    for (int b = 0; b < 256; b++) {
      boolean printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      characters[b] = printable ? (char) b : next++;
    }
    return characters;
  }

  static String of(int b) {
    return String.valueOf(CHARACTERS[b]);
  }

  /** A text's UTF-8 bytes, a character each. */
  static String encode(String text) {
    StringBuilder encoded = new StringBuilder();
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      encoded.append(CHARACTERS[b & 0xff]);
    }
    return encoded.toString();
  }
}
