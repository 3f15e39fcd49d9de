package io.millrace.model.evaluation;

import io.millrace.model.annotators.AnnotatorAgreement;
import io.millrace.model.evaluation.Judge.Choice;
import io.millrace.model.training.Checks;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Optional;

/**
 * People's comparisons of two policies, side by side on seven points, as Llama 2 does it (arXiv
 * 2307.09288, section 3.4.2 and appendix A.3.7): several annotators judge each pair of responses,
 * the majority decides, and Gwet's AC2 says how far the annotators agree.
 *
 * @param winRate of the first policy over the pairs with enough votes; limits as those of {@link
 *     WinRate}
 * @param waiting pairs with fewer votes than asked for, which do not count in the win rate
 * @param withoutMajority pairs among the ties in which no choice has more than half of the votes
 * @param votes of all pairs
 * @param overlapping pairs with two votes or more
 * @param ac2 Gwet's AC2 on the seven points with quadratic weights; NaN if no pairs overlap
 */
public record HumanEvaluation(
    WinRate winRate, int waiting, int withoutMajority, int votes, long overlapping, double ac2) {

  /** Points of "significantly better"; "about the same" has none. */
  public static final int MOST_POINTS = 3;

  private static final int CATEGORIES = 2 * MOST_POINTS + 1;

  /**
   * One annotator's comparison.
   *
   * @param points from -3, the second response is significantly better, to 3, the first one is; 0:
   *     about the same
   */
  public record Vote(String annotator, int points) {

    public Vote {
      Checks.that(Math.abs(points) <= MOST_POINTS, "points", points, "from -3 to 3");
    }

    /** A for the first response. */
    Choice choice() {
      return points > 0 ? Choice.A : points < 0 ? Choice.B : Choice.TIE;
    }
  }

  /**
   * Evaluates pairs of responses.
   *
   * @param pairs votes of each pair, at most one of an annotator
   * @param least votes that a pair needs, at least 1
   */
  public static HumanEvaluation of(Collection<List<Vote>> pairs, int least) {
    Checks.that(least >= 1, "least", least, "at least 1");
    AnnotatorAgreement agreement = new AnnotatorAgreement(CATEGORIES, Math.max(1, pairs.size()));
    WinRate winRate = WinRate.NONE;
    int waiting = 0;
    int withoutMajority = 0;
    int votes = 0;
    long unit = 0;
    for (List<Vote> pair : pairs) {
      for (Vote vote : pair) {
        agreement.add(unit, vote.annotator(), vote.points() + MOST_POINTS);
      }
      unit++;
      votes += pair.size();
      if (pair.size() < least) {
        waiting++;
        continue;
      }
      Optional<Choice> majority = majority(pair);
      withoutMajority += majority.isEmpty() ? 1 : 0;
      winRate = winRate.plus(count(majority.orElse(Choice.TIE)));
    }
    return new HumanEvaluation(
        winRate, waiting, withoutMajority, votes, agreement.overlapping(), agreement.ac2());
  }

  /** The choice that more than half of the votes are for, whatever their degree. */
  static Optional<Choice> majority(List<Vote> votes) {
    return Arrays.stream(Choice.values())
        .filter(
            choice ->
                2 * votes.stream().filter(vote -> vote.choice() == choice).count() > votes.size())
        .findFirst();
  }

  /** A win rate of one comparison: A is a win. */
  private static WinRate count(Choice choice) {
    return switch (choice) {
      case A -> new WinRate(1, 0, 0);
      case TIE -> new WinRate(0, 1, 0);
      case B -> new WinRate(0, 0, 1);
    };
  }
}
