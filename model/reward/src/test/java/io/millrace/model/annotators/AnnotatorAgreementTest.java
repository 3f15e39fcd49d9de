package io.millrace.model.annotators;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class AnnotatorAgreementTest {

  /** Four observers of twelve units: Krippendorff 2011, section C; 0 is no rating. */
  private static final int[][] OBSERVERS = {
    {1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0},
    {1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3},
    {0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0},
    {1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0}
  };

  private static AnnotatorAgreement published() {
    AnnotatorAgreement agreement = new AnnotatorAgreement(5, 100);
    for (int observer = 0; observer < OBSERVERS.length; observer++) {
      for (int unit = 0; unit < 12; unit++) {
        if (OBSERVERS[observer][unit] > 0) {
          assertTrue(agreement.add(unit, "observer-" + observer, OBSERVERS[observer][unit] - 1));
        }
      }
    }
    return agreement;
  }

  @Test
  void agreesWithThePublishedExample() {
    AnnotatorAgreement agreement = published();
    assertEquals(11, agreement.overlapping());
    // Krippendorff 2011, section D: 0.849 for interval data.
    assertEquals(0.8491071428571428, agreement.alpha(), 1e-12);
    // From Gwet's formula over all pairs of ratings, in Python; without weights it gives 0.77544,
    // as in Gwet's table for these data.
    assertEquals(0.914000723551605, agreement.ac2(), 1e-12);
  }

  @Test
  void aRemovedAnnotatorLeavesNoTrace() {
    AnnotatorAgreement agreement = published();
    for (int unit = 0; unit < 12; unit++) {
      agreement.add(unit, "guest", (unit * 7) % 5);
    }
    agreement.remove("guest");
    assertEquals(published().alpha(), agreement.alpha(), 1e-12);
    assertEquals(published().ac2(), agreement.ac2(), 1e-12);
    assertEquals(published().overlapping(), agreement.overlapping());
  }

  @Test
  void guessesAgreeByChanceOnly() {
    SplittableRandom random = new SplittableRandom(5);
    AnnotatorAgreement agreement = new AnnotatorAgreement(8, 5000);
    for (int unit = 0; unit < 4000; unit++) {
      agreement.add(unit, "a", random.nextInt(8));
      agreement.add(unit, "b", random.nextInt(8));
    }
    assertEquals(0, agreement.alpha(), 0.05);
    assertEquals(0, agreement.ac2(), 0.05);
  }

  @Test
  void aSecondRatingOfAnAnnotatorDoesNotCount() {
    AnnotatorAgreement agreement = new AnnotatorAgreement(3, 10);
    assertTrue(agreement.add(1, "a", 0));
    assertFalse(agreement.add(1, "a", 2));
    assertEquals(0, agreement.overlapping());
    assertTrue(Double.isNaN(agreement.alpha()));
    assertTrue(Double.isNaN(agreement.ac2()));
  }

  @Test
  void aForgottenPairStaysInTheSums() {
    AnnotatorAgreement agreement = new AnnotatorAgreement(3, 1);
    agreement.add(1, "a", 0);
    agreement.add(1, "b", 0);
    agreement.add(2, "a", 2);
    assertEquals(List.of(), agreement.ratings(1));
    assertEquals(1, agreement.overlapping());
    agreement.add(2, "b", 2);
    assertEquals(1, agreement.alpha(), 1e-12);
  }

  @Test
  void continuesFromItsState() {
    AnnotatorAgreement agreement = published();
    AnnotatorAgreement restored = new AnnotatorAgreement(5, 100);
    restored.restore(agreement.state());
    assertTrue(agreement.add(11, "late", 4));
    assertTrue(restored.add(11, "late", 4));
    assertEquals(agreement.alpha(), restored.alpha());
    assertEquals(agreement.ac2(), restored.ac2());
    assertThrows(
        IllegalArgumentException.class,
        () -> new AnnotatorAgreement(4, 100).restore(agreement.state()));
  }
}
