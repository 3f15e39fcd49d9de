package io.millrace.connectors.exchange.format;

import io.millrace.schemas.Rating;

/** Ratings from numbers that other formats have. */
final class Degrees {
  private Degrees() {}

  /** Of a strength from 1 to 3, HelpSteer's. */
  static Rating ofStrength(int strength) {
    return switch (strength) {
      case 1 -> Rating.SLIGHTLY_BETTER;
      case 2 -> Rating.BETTER;
      case 3 -> Rating.SIGNIFICANTLY_BETTER;
      default -> throw new IllegalArgumentException("a strength is from 1 to 3, not " + strength);
    };
  }

  /**
   * Of a difference of scores.
   *
   * @param share the difference as a share of the scale, above 0
   */
  static Rating ofDifference(double share) {
    if (share >= 0.5) {
      return Rating.SIGNIFICANTLY_BETTER;
    }
    if (share >= 0.25) {
      return Rating.BETTER;
    }
    return share >= 0.1 ? Rating.SLIGHTLY_BETTER : Rating.NEGLIGIBLY_BETTER_OR_UNSURE;
  }
}
