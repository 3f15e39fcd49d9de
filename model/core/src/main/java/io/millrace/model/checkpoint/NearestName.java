package io.millrace.model.checkpoint;

import java.util.Collection;

/** Suggests the name that was probably meant. */
final class NearestName {
  /** Longer names are not compared, because the time grows with the product of the lengths. */
  private static final int MAX_LENGTH = 200;

  /** The number of candidates is limited too; a large model has fewer parameters. */
  private static final int MAX_CANDIDATES = 5_000;

  private NearestName() {}

  /** The nearest candidate in brackets, or the empty string if none is near. */
  static String suggestion(String name, Collection<String> candidates) {
    if (name.length() > MAX_LENGTH || candidates.size() > MAX_CANDIDATES) {
      return "";
    }
    String nearest = null;
    // A candidate that differs in more than half of the name is no help.
    int lowest = name.length() / 2 + 1;
    for (String candidate : candidates) {
      if (candidate.length() <= MAX_LENGTH) {
        int distance = distance(name, candidate);
        if (distance < lowest) {
          lowest = distance;
          nearest = candidate;
        }
      }
    }
    return nearest == null ? "" : " (nearest: '" + nearest + "')";
  }

  /**
   * The edit distance of Levenshtein: the number of insertions, deletions and substitutions of one
   * character.
   */
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
