package io.millrace.model.evaluation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.evaluation.HumanEvaluation.Vote;
import io.millrace.model.evaluation.Judge.Choice;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class HumanEvaluationTest {

  private static List<Vote> votes(int... points) {
    List<Vote> votes = new ArrayList<>();
    for (int point : points) {
      votes.add(new Vote("annotator-" + votes.size(), point));
    }
    return votes;
  }

  @Test
  void theMajorityDecidesWhateverTheDegree() {
    // Two slight choices outvote a significant one.
    assertEquals(Optional.of(Choice.A), HumanEvaluation.majority(votes(1, 1, -3)));
    assertEquals(Optional.of(Choice.TIE), HumanEvaluation.majority(votes(0, 0, 3)));
    assertEquals(Optional.of(Choice.B), HumanEvaluation.majority(votes(-1, -2, -3)));
    // One vote for each choice, or half of the votes: no majority.
    assertEquals(Optional.empty(), HumanEvaluation.majority(votes(2, 0, -1)));
    assertEquals(Optional.empty(), HumanEvaluation.majority(votes(2, 1, 0, -1)));
    assertThrows(IllegalArgumentException.class, () -> new Vote("a", 4));
  }

  @Test
  void pairsWithTooFewVotesWait() {
    HumanEvaluation result =
        HumanEvaluation.of(
            List.of(
                votes(1, 2, 3), votes(1, 1), votes(2, 0, -1), votes(0, 0, 0), votes(-1, -1, 3, -3)),
            3);
    assertEquals(new WinRate(1, 2, 1), result.winRate());
    assertEquals(1, result.waiting());
    assertEquals(1, result.withoutMajority());
    assertEquals(15, result.votes());
    assertEquals(5, result.overlapping());
  }

  @Test
  void ac2IsGwetsOverAllPairsOfVotes() {
    SplittableRandom random = new SplittableRandom(3);
    List<List<Vote>> pairs = new ArrayList<>();
    for (int i = 0; i < 200; i++) {
      int[] points = new int[1 + random.nextInt(4)];
      int middle = random.nextInt(-2, 3);
      for (int j = 0; j < points.length; j++) {
        points[j] = middle + random.nextInt(-1, 2);
      }
      pairs.add(votes(points));
    }
    HumanEvaluation result = HumanEvaluation.of(pairs, 3);
    double expected = gwet(pairs);
    assertTrue(expected > 0.5 && expected < 0.95, "AC2 " + expected);
    assertEquals(expected, result.ac2(), 1e-12);
    assertEquals(
        Double.NaN, HumanEvaluation.of(List.of(votes(1), votes(2)), 1).ac2(), "nothing overlaps");
  }

  /** Gwet's formula, vote by vote. */
  private static double gwet(List<List<Vote>> pairs) {
    double agreement = 0;
    int overlapping = 0;
    double[] shares = new double[7];
    double weights = 0;
    for (int k = 0; k < 7; k++) {
      for (int l = 0; l < 7; l++) {
        weights += 1 - (k - l) * (k - l) / 36.0;
      }
    }
    for (List<Vote> pair : pairs) {
      double alike = 0;
      for (int i = 0; i < pair.size(); i++) {
        shares[pair.get(i).points() + 3] += 1.0 / pair.size() / pairs.size();
        for (int j = 0; j < pair.size(); j++) {
          int distance = pair.get(i).points() - pair.get(j).points();
          alike += i == j ? 0 : 1 - distance * distance / 36.0;
        }
      }
      if (pair.size() > 1) {
        agreement += alike / (pair.size() * (pair.size() - 1));
        overlapping++;
      }
    }
    double chance = 0;
    for (double share : shares) {
      chance += share * (1 - share);
    }
    chance *= weights / (7 * 6);
    return (agreement / overlapping - chance) / (1 - chance);
  }
}
