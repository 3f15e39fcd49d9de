package io.millrace.model.checkpoint;

import java.util.Collection;

/** Finds the name that was probably meant. */
final class NearestName {
  /** Longer names are not compared: the time grows with the product of the lengths. */
  private static final int LONGEST = 200;

  /** Nor are more candidates than a large model has parameters. */
  private static final int MOST = 5_000;

  private NearestName() {}

  /** The nearest of the candidates in brackets, or nothing where none is near. */
  static String suggestion(String name, Collection<String> candidates) {
    if (name.length() > LONGEST || candidates.size() > MOST) {
      return "";
    }
    String nearest = null;
    // Farther than half the name is no suggestion but noise.
    int least = name.length() / 2 + 1;
    for (String candidate : candidates) {
      if (candidate.length() <= LONGEST) {
        int distance = distance(name, candidate);
        if (distance < least) {
          least = distance;
          nearest = candidate;
        }
      }
    }
    return nearest == null ? "" : " (nearest: '" + nearest + "')";
  }

  /** Levenshtein's edit distance: insertions, deletions and substitutions of one character. */
  static int distance(String a, String b) {
    int[] row = new int[b.length() + 1];
    for (int j = 0; j < row.length; j++) {
      row[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int substitution = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(substitution, 1 + Math.min(row[j], row[j - 1]));
      }
    }
    return row[b.length()];
  }
}
