package io.millrace.jobs.preference;

import io.millrace.jobs.preference.PreferenceSection.LearnedObjective;
import io.millrace.schemas.Feedback;
import io.millrace.schemas.JudgedResponse;
import io.millrace.schemas.Judgment;
import io.millrace.schemas.Label;
import io.millrace.schemas.Objective;
import java.util.Optional;

/** Which responses are desirable, for KTO. */
final class Labels {

  private static final float NEUTRAL = 0.5f;

  private Labels() {}

  /** Whether a judgment belongs to the objective that is learned. */
  static boolean isLearned(Judgment judgment, LearnedObjective objective) {
    return switch (objective) {
      case HELPFULNESS -> judgment.getObjective() == Objective.HELPFULNESS;
      case SAFETY -> judgment.getObjective() == Objective.SAFETY;
      case BOTH -> true;
    };
  }

  /**
   * Whether a response of a judgment is desirable: the chosen one is, the other is not. A safety
   * label says more than the choice: of two safe responses neither is undesirable.
   */
  static boolean isDesirable(
      Judgment judgment, JudgedResponse response, boolean chosen, LearnedObjective objective) {
    Boolean unsafe = response.getUnsafe();
    if (unsafe == null || objective == LearnedObjective.HELPFULNESS) {
      return chosen;
    }
    return !unsafe && (chosen || judgment.getObjective() == Objective.SAFETY);
  }

  /**
   * Whether the response of a feedback is desirable; empty if the feedback does not say for the
   * objective. For helpfulness a label decides, or else a score above or below {@value #NEUTRAL}.
   * For both objectives a response must be safe too, and one that is only known to be safe counts
   * neither way.
   */
  static Optional<Boolean> isDesirable(Feedback feedback, LearnedObjective objective) {
    Optional<Boolean> safe = Optional.ofNullable(feedback.getResponse().getUnsafe()).map(u -> !u);
    return switch (objective) {
      case HELPFULNESS -> isHelpful(feedback);
      case SAFETY -> safe;
      case BOTH -> safe.orElse(true) ? isHelpful(feedback) : Optional.of(false);
    };
  }

  private static Optional<Boolean> isHelpful(Feedback feedback) {
    if (feedback.getLabel() != null) {
      return Optional.of(feedback.getLabel() == Label.UP);
    }
    return Optional.ofNullable(feedback.getScore())
        .filter(score -> score != NEUTRAL)
        .map(score -> score > NEUTRAL);
  }
}
