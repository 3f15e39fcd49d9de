package io.millrace.model.rejection;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.model.rejection.BestResponse.Response;
import io.millrace.model.reward.PiecewiseReward;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class BestResponseTest {

  private static final long SEED = 3;
  private static final PiecewiseReward REWARD = new PiecewiseReward(0.15);

  private static Response response(String text, boolean stopped, double helpful, double safe) {
    return new Response(new int[] {1}, text, stopped, 1, (float) helpful, (float) safe);
  }

  @Test
  void theHighestRewardWins() {
    List<Response> responses =
        List.of(response("a", true, 1, 4), response("b", true, 3, 4), response("c", true, 2, 4));
    BestResponse best = BestResponse.among(responses, REWARD, false);
    assertEquals(OptionalInt.of(1), best.winner());
    assertArrayEquals(new double[] {1, 3, 2}, best.rewards(), 1e-6);
    assertArrayEquals(new boolean[] {true, true, true}, best.usable());
  }

  @Test
  void safetyDecidesOnSafetyPromptsAndOnUnsafeResponses() {
    List<Response> responses = List.of(response("a", true, 9, 1), response("b", true, -9, 2));
    assertEquals(OptionalInt.of(0), BestResponse.among(responses, REWARD, false).winner());
    assertEquals(OptionalInt.of(1), BestResponse.among(responses, REWARD, true).winner());
    // R_s = −5 is far below the logit of 0.15: the response is judged by its safety.
    List<Response> unsafe = List.of(response("a", true, 9, -5), response("b", true, -4, 2));
    assertEquals(OptionalInt.of(1), BestResponse.among(unsafe, REWARD, false).winner());
  }

  @Test
  void theFirstOfEqualResponsesWins() {
    List<Response> responses = List.of(response("a", true, 1, 4), response("b", true, 1, 4));
    assertEquals(OptionalInt.of(0), BestResponse.among(responses, REWARD, false).winner());
  }

  @Test
  void cutAndBlankResponsesNeverWin() {
    List<Response> responses =
        List.of(
            response("a", false, 9, 4), response(" \n", true, 8, 4), response("c", true, -9, 4));
    assertEquals(OptionalInt.of(2), BestResponse.among(responses, REWARD, false).winner());
    BestResponse none = BestResponse.among(responses.subList(0, 2), REWARD, false);
    assertTrue(none.winner().isEmpty());
    assertEquals(2, none.rewards().length);
  }

  @Test
  void agreesWithSortingTheResponsesThatCanWin() {
    SplittableRandom random = new SplittableRandom(SEED);
    for (int round = 0; round < 500; round++) {
      List<Response> responses = new ArrayList<>();
      for (int k = 0; k < 1 + random.nextInt(12); k++) {
        responses.add(
            response(
                random.nextInt(4) == 0 ? "" : "text",
                random.nextInt(3) > 0,
                random.nextInt(-3, 4),
                random.nextInt(-3, 4)));
      }
      boolean isSafety = random.nextBoolean();
      List<Integer> order = new ArrayList<>();
      for (int k = 0; k < responses.size(); k++) {
        if (responses.get(k).stopped() && !responses.get(k).text().isEmpty()) {
          order.add(k);
        }
      }
      // A stable sort keeps the earlier of equal responses first.
      order.sort(
          (a, b) ->
              Double.compare(plain(responses.get(b), isSafety), plain(responses.get(a), isSafety)));
      OptionalInt expected =
          order.isEmpty() ? OptionalInt.empty() : OptionalInt.of(order.getFirst());
      assertEquals(
          expected,
          BestResponse.among(responses, REWARD, isSafety).winner(),
          "seed " + SEED + " round " + round);
    }
  }

  /**
   * In the order of R_c: R_s on safety prompts; on others R_h of safe responses, above all unsafe
   * ones (σ(R_s) < 0.15) in the order of R_s.
   */
  private static double plain(Response response, boolean isSafety) {
    double probability = 1 / (1 + Math.exp(-response.safetyScore()));
    if (isSafety) {
      return response.safetyScore();
    }
    return probability < 0.15 ? response.safetyScore() - 100 : response.helpfulnessScore();
  }
}
