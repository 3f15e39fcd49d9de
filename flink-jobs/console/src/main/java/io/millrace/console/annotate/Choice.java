package io.millrace.console.annotate;

import io.millrace.schemas.Assignment;
import io.millrace.schemas.AssignmentState;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Rating;
import io.millrace.serve.api.ApiException;
import io.millrace.serve.api.Fields;
import java.util.Objects;

/**
 * What an annotator chose.
 *
 * @param preferred the better side, A for left; null where both are bad
 * @param rating null where both are bad
 * @param unsafeLeft null without a label
 * @param unsafeRight null without a label
 */
record Choice(
    int revision,
    Preferred preferred,
    Rating rating,
    Boolean unsafeLeft,
    Boolean unsafeRight,
    String reason,
    boolean flagged) {

  static final int LONGEST_REASON = 2000;

  static Choice of(Fields fields) {
    boolean bothBad = fields.flag("both_bad", false);
    Preferred preferred = fields.constant("preferred", Preferred.class).orElse(null);
    Rating rating = fields.constant("rating", Rating.class).orElse(null);
    if (bothBad ? preferred != null || rating != null : preferred == null || rating == null) {
      throw ApiException.badValue(
          "preferred", "send \"preferred\" and \"rating\", or \"both_bad\": true alone");
    }
    return new Choice(
        Math.toIntExact(fields.whole("revision", 0, Integer.MAX_VALUE).orElse(0L)),
        preferred,
        rating,
        fields.optionalFlag("unsafe_left").orElse(null),
        fields.optionalFlag("unsafe_right").orElse(null),
        fields.optionalText("reason", LONGEST_REASON),
        fields.flag("flagged", false));
  }

  AssignmentState state() {
    return preferred == null ? AssignmentState.BOTH_BAD : AssignmentState.JUDGED;
  }

  /** Whether an assignment holds this choice. */
  boolean isStored(Assignment assignment) {
    return assignment.getState() == state()
        && assignment.getRevision() == revision
        && assignment.getPreferred() == preferred
        && assignment.getRating() == rating
        && Objects.equals(assignment.getUnsafeLeft(), unsafeLeft)
        && Objects.equals(assignment.getUnsafeRight(), unsafeRight)
        && assignment.getReason().equals(reason)
        && assignment.getFlagged() == flagged;
  }
}
