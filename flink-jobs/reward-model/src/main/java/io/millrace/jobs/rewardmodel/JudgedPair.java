package io.millrace.jobs.rewardmodel;

import io.millrace.schemas.Judgment;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Rating;
import java.util.List;

/**
 * A prompt with two responses, in whichever order they are shown. Judgments of the same texts are
 * judgments of the same pair.
 *
 * @param key hash of the texts
 * @param firstIsA whether response A is the pair's first
 */
record JudgedPair(long key, boolean firstIsA) {

  /** Ratings of a pair, from "the first is significantly better" to "the second is". */
  static final int CATEGORIES = 2 * Rating.values().length;

  static JudgedPair of(Judgment judgment) {
    long a = TextHash.of(List.of(judgment.getResponseA().getText()));
    long b = TextHash.of(List.of(judgment.getResponseB().getText()));
    boolean firstIsA = a <= b;
    long prompt = TextHash.ofPrompt(judgment);
    return new JudgedPair(
        TextHash.of(
            List.of(
                Long.toString(prompt),
                Long.toString(firstIsA ? a : b),
                Long.toString(firstIsA ? b : a))),
        firstIsA);
  }

  /** Whether a judgment of this pair prefers the first response. */
  boolean prefersFirst(Judgment judgment) {
    return (judgment.getPreferred() == Preferred.A) == firstIsA;
  }

  /** The rating of a judgment of this pair, 0 to {@link #CATEGORIES} − 1. */
  int category(Judgment judgment) {
    int rating = judgment.getRating().ordinal();
    return prefersFirst(judgment) ? rating : CATEGORIES - 1 - rating;
  }

  /** Whether a {@link #category} prefers the first response. */
  static boolean prefersFirst(int category) {
    return category < CATEGORIES / 2;
  }
}
