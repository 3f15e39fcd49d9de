package io.millrace.world;

import io.millrace.schemas.Preferred;
import io.millrace.schemas.Rating;
import java.util.SplittableRandom;

/**
 * A simulated annotator.
 *
 * @param noise scale of the Gumbel noise on the worth of a response
 * @param unread share of pairs for which the person chooses {@code side} without reading them
 * @param side the side that the person favours
 */
record Person(String name, AnnotatorKind kind, double noise, double unread, Preferred side) {

  private static final double NOISE = 0.08;

  /** The least |w_A − w_B| of each rating; below SLIGHT it is negligibly better. */
  private static final double SIGNIFICANT = 0.6;

  private static final double BETTER = 0.35;
  private static final double SLIGHT = 0.12;

  /** A choice between two responses. */
  record Opinion(Preferred preferred, Rating rating) {}

  static Person careful(String name) {
    return new Person(name, AnnotatorKind.CAREFUL, NOISE, 0, Preferred.A);
  }

  static Person adversarial(String name) {
    return new Person(name, AnnotatorKind.ADVERSARIAL, NOISE, 0, Preferred.A);
  }

  boolean isAdversarial() {
    return kind == AnnotatorKind.ADVERSARIAL;
  }

  /**
   * The person's choice.
   *
   * @param goldA gold reward of the first response
   * @param random a stream; the noise takes one draw for each response
   */
  Opinion opinion(double goldA, double goldB, SplittableRandom random) {
    double difference = worth(goldA, random) - worth(goldB, random);
    if (isAdversarial()) {
      return new Opinion(
          difference >= 0 ? Preferred.B : Preferred.A,
          Math.abs(difference) > SLIGHT ? Rating.SIGNIFICANTLY_BETTER : Rating.BETTER);
    }
    Preferred preferred = difference >= 0 ? Preferred.A : Preferred.B;
    if (unread > 0 && random.nextDouble() < unread) {
      preferred = side;
    }
    return new Opinion(preferred, rating(Math.abs(difference)));
  }

  private double worth(double gold, SplittableRandom random) {
    double gumbel = -Math.log(-Math.log(1 - random.nextDouble()));
    return gold + noise * gumbel;
  }

  private static Rating rating(double difference) {
    if (difference > SIGNIFICANT) {
      return Rating.SIGNIFICANTLY_BETTER;
    } else if (difference > BETTER) {
      return Rating.BETTER;
    }
    return difference > SLIGHT ? Rating.SLIGHTLY_BETTER : Rating.NEGLIGIBLY_BETTER_OR_UNSURE;
  }
}
