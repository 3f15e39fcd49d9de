package io.millrace.console.annotate;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.millrace.model.annotators.AnnotatorAgreement;
import io.millrace.schemas.Assignment;
import io.millrace.schemas.AssignmentState;
import io.millrace.schemas.Preferred;
import io.millrace.schemas.Rating;
import java.util.List;
import java.util.Map;

/**
 * How far annotators agree on tasks that several of them judged.
 *
 * @param compared pairs of choices for the same task
 * @param agreed of these, choices of the same response
 * @param chanceCorrected ratings, from "the first response is significantly better" to "the second
 *     is"
 */
record Agreement(long compared, long agreed, AnnotatorAgreement chanceCorrected) {

  private static final int DEGREES = Rating.values().length;

  /** Agreement of all annotators. */
  static Agreement of(Assignments state) {
    return of(state, null);
  }

  /**
   * Agreement with an annotator.
   *
   * @param annotator null for all pairs of annotators
   */
  static Agreement of(Assignments state, String annotator) {
    AnnotatorAgreement corrected = new AnnotatorAgreement(2 * DEGREES, Integer.MAX_VALUE);
    long compared = 0;
    long agreed = 0;
    long unit = 0;
    for (Map<String, Assignment> task : state.tasks()) {
      List<Assignment> judged =
          task.values().stream().filter(each -> each.getState() == AssignmentState.JUDGED).toList();
      if (annotator != null
          && judged.stream().noneMatch(each -> each.getAnnotator().equals(annotator))) {
        continue;
      }
      unit++;
      for (int i = 0; i < judged.size(); i++) {
        Assignment one = judged.get(i);
        boolean _ = corrected.add(unit, one.getAnnotator(), category(one));
        for (Assignment other : judged.subList(i + 1, judged.size())) {
          if (annotator == null
              || one.getAnnotator().equals(annotator)
              || other.getAnnotator().equals(annotator)) {
            compared++;
            agreed += prefersFirst(one) == prefersFirst(other) ? 1 : 0;
          }
        }
      }
    }
    return new Agreement(compared, agreed, corrected);
  }

  /** The sides differ between annotators; the first response is the one whose name is first. */
  private static boolean prefersFirst(Assignment judged) {
    boolean firstIsLeft = judged.getLeft().compareTo(judged.getRight()) < 0;
    return (judged.getPreferred() == Preferred.A) == firstIsLeft;
  }

  private static int category(Assignment judged) {
    int rating = judged.getRating().ordinal();
    return prefersFirst(judged) ? rating : 2 * DEGREES - 1 - rating;
  }

  /** Adds the counts, and the coefficients where they exist. */
  void write(ObjectNode body) {
    body.put("compared", compared).put("agreed", agreed);
    put(body, "alpha", chanceCorrected.alpha());
    put(body, "ac2", chanceCorrected.ac2());
  }

  private static void put(ObjectNode body, String name, double value) {
    if (Double.isFinite(value)) {
      body.put(name, value);
    }
  }
}
