package io.millrace.schemas;

import java.util.Collection;
import java.util.Locale;
import java.util.Optional;
import org.apache.commons.text.similarity.LevenshteinDistance;

/** Suggests a known name for a mistyped one: of a topic, a field, an option or a tensor. */
public final class Nearest {

  /** Longer names are not compared: the time grows with the product of both lengths. */
  private static final int MAX_LENGTH = 200;

  /** The number of tensors of a large model stays below this. */
  private static final int MAX_CANDIDATES = 5_000;

  private Nearest() {}

  /**
   * The candidate with the smallest edit distance to {@code name}, case ignored. Of several equally
   * near candidates, the first one is returned.
   *
   * @return empty where every candidate is more than {@code max(2, name.length() / 3)} edits away,
   *     and where {@code name} is longer than 200 characters or has more than 5000 candidates
   */
  public static Optional<String> to(String name, Collection<String> candidates) {
    if (name.length() > MAX_LENGTH || candidates.size() > MAX_CANDIDATES) {
      return Optional.empty();
    }
    String wanted = name.toLowerCase(Locale.ROOT);
    int limit = Math.max(2, name.length() / 3);
    LevenshteinDistance distance = new LevenshteinDistance(limit);
    String nearest = null;
    int least = limit + 1;
    for (String candidate : candidates) {
      if (candidate.length() > MAX_LENGTH) {
        continue;
      }
      int edits = distance.apply(wanted, candidate.toLowerCase(Locale.ROOT));
      // The library returns -1 for a distance above the limit.
      if (edits >= 0 && edits < least) {
        least = edits;
        nearest = candidate;
      }
    }
    return Optional.ofNullable(nearest);
  }

  /** The clause {@code ; did you mean X?}, or a list of all candidates where none is near. */
  public static String hint(String name, Collection<String> candidates) {
    return to(name, candidates)
        .map(found -> "; did you mean " + found + "?")
        .orElse("; known are " + String.join(", ", candidates));
  }
}
