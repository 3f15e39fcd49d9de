package io.millrace.model.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * The printable character that stands for each byte in a byte-level vocabulary (Radford et al.,
 * 2019, "Language Models are Unsupervised Multitask Learners", section 2.2, in the form of GPT-2's
 * files): printable Latin-1 stands for itself, and the other bytes, in order, for U+0100 and on.
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

  /** The character that stands for a byte, 0 to 255. */
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

  /** The text's UTF-8 bytes in this alphabet, one character a byte. */
  public static String spell(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    char[] characters = new char[bytes.length];
    for (int i = 0; i < bytes.length; i++) {
      characters[i] = CHARACTERS[bytes[i] & 0xFF];
    }
    return new String(characters);
  }
}
