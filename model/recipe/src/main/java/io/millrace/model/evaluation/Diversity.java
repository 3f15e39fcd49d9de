package io.millrace.model.evaluation;

import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Stream;

/**
 * distinct-n (after Li et al., arXiv 1510.03055): different n-grams divided by all n-grams of a
 * policy's responses. Words are runs of letters, digits and apostrophes, in lower case. N-grams do
 * not cross responses.
 */
public final class Diversity {

  private Diversity() {}

  /** Share of different n-grams, in (0, 1]; 0 if no response has n words. */
  public static double distinct(List<String> responses, int n) {
    if (n < 1) {
      throw new IllegalArgumentException("n must be at least 1, not " + n);
    }
    Set<List<String>> different = new HashSet<>();
    long all = 0;
    for (String response : responses) {
      List<String> words = words(response);
      for (int i = 0; i + n <= words.size(); i++) {
        different.add(List.copyOf(words.subList(i, i + n)));
        all++;
      }
    }
    return all == 0 ? 0 : (double) different.size() / all;
  }

  static List<String> words(String text) {
    return Stream.of(text.toLowerCase(Locale.ROOT).split("[^\\p{L}\\p{N}']+"))
        .filter(word -> !word.isEmpty())
        .toList();
  }
}
