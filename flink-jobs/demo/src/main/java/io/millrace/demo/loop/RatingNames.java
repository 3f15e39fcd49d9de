package io.millrace.demo.loop;

import io.millrace.schemas.Rating;

/** Short names of the ratings, for the columns of tables and the labels of charts. */
public final class RatingNames {

  private RatingNames() {}

  /** The short name of a rating. */
  public static String of(Rating rating) {
    return switch (rating) {
      case SIGNIFICANTLY_BETTER -> "significantly";
      case BETTER -> "better";
      case SLIGHTLY_BETTER -> "slightly";
      case NEGLIGIBLY_BETTER_OR_UNSURE -> "negligibly";
    };
  }
}
