package io.millrace.model.tokenizer;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** Random text for training and tests, from seeded generators. */
public final class Corpus {
  private static final String[] WORDS = {
    "the",
    "model",
    "answers",
    "a",
    "question",
    "kindly",
    "it's",
    "Zürich",
    "2026",
    "naïve",
    "rivers",
    "of",
    "water",
    "turn",
    "mill",
    "wheels",
    "slowly",
    "when",
    "they",
    "can",
    "well",
    "\n",
    "—",
    "42"
  };

  private Corpus() {}

  /** Sentences of words with unequal frequencies. */
  public static List<String> sentences(int count, long seed) {
    Random random = new Random(seed);
    List<String> sentences = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      List<String> words = new ArrayList<>();
      for (int j = 5 + random.nextInt(10); j > 0; j--) {
        words.add(WORDS[(int) (WORDS.length * random.nextDouble() * random.nextDouble())]);
      }
      sentences.add(String.join(" ", words) + ".");
    }
    return sentences;
  }

  /**
   * Random Unicode text with characters of every plane, control characters, combining marks and
   * spaces, but no unpaired surrogates.
   */
  public static String anyText(Random random) {
    StringBuilder text = new StringBuilder();
    for (int n = random.nextInt(40); n > 0; n--) {
      int c =
          switch (random.nextInt(8)) {
            case 0 -> random.nextInt(0x20);
            case 1 -> 0x300 + random.nextInt(0x70);
            case 2 -> 0x1F300 + random.nextInt(0x300);
            case 3 -> random.nextInt(Character.MAX_CODE_POINT + 1);
            case 4 -> " \t\n\r\u00a0\u200b\u200d\ufeff\u3000".charAt(random.nextInt(9));
            case 5 -> random.nextInt(0x800);
            default -> 0x20 + random.nextInt(0x5F);
          };
      text.appendCodePoint(c >= 0xD800 && c <= 0xDFFF ? ' ' : c);
    }
    return text.toString();
  }
}
