package io.millrace.model.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * The printable characters that stand for bytes in a byte-level vocabulary, as in GPT-2's files
 * (Radford et al., 2019, "Language Models are Unsupervised Multitask Learners", section 2.2). A
 * byte that is printable in Latin-1 stands for itself. The other bytes, in order, have the
 * characters from U+0100 on.
 */
public final class ByteAlphabet {
  private static final char[] CHARACTERS = new char[256];
  private static final char[] SORTED;

  static {
    char next = 0x100;
    for (int b = 0; b < 256; b++) {
      boolean printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xFF && b != 0xAD);
      CHARACTERS[b] = printable ? (char) b : next++;
    }
    SORTED = CHARACTERS.clone();
    Arrays.sort(SORTED);
  }

  private ByteAlphabet() {}

  /** The character for a byte, 0 to 255. */
  static char character(int b) {
    return CHARACTERS[b];
  }

  /** Whether a character stands for a byte. */
  static boolean contains(int character) {
    return Arrays.binarySearch(SORTED, (char) character) >= 0;
  }

  /** All 256 characters in ascending order. */
  public static char[] sorted() {
    return SORTED.clone();
  }

  /** The UTF-8 bytes of a text in this alphabet, one character per byte. */
  public static String spell(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    char[] characters = new char[bytes.length];
    for (int i = 0; i < bytes.length; i++) {
      characters[i] = CHARACTERS[bytes[i] & 0xFF];
    }
    return new String(characters);
  }
}
