package io.millrace.schemas;

import java.util.Collection;
import java.util.Locale;
import java.util.Optional;

/** Suggests a known name for a mistyped one. */
public final class Nearest {
  private Nearest() {}

  /**
   * The candidate with the smallest edit distance (Levenshtein) to {@code name}, ignoring case.
   * Empty when every candidate differs in more than a third of the letters of {@code name}, or in
   * more than two letters of a short name.
   */
  public static Optional<String> to(String name, Collection<String> candidates) {
    String wanted = name.toLowerCase(Locale.ROOT);
    String best = null;
    int bestDistance = Math.max(2, name.length() / 3) + 1;
    for (String candidate : candidates) {
      int distance = distance(wanted, candidate.toLowerCase(Locale.ROOT));
      if (distance < bestDistance) {
        bestDistance = distance;
        best = candidate;
      }
    }
    return Optional.ofNullable(best);
  }

  /**
   * The clause {@code ; did you mean X?}, or {@code ; known are X, Y} when no candidate is near.
   */
  public static String hint(String name, Collection<String> candidates) {
    return to(name, candidates)
        .map(found -> "; did you mean " + found + "?")
        .orElse("; known are " + String.join(", ", candidates));
  }

  private static int distance(String a, String b) {
    int[] previous = new int[b.length() + 1];
    for (int j = 0; j <= b.length(); j++) {
      previous[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int[] current = new int[b.length() + 1];
      current[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int substitution = previous[j - 1] + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        current[j] = Math.min(substitution, Math.min(previous[j], current[j - 1]) + 1);
      }
      previous = current;
    }
    return previous[b.length()];
  }
}
