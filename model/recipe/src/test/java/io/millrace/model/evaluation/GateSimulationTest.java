package io.millrace.model.evaluation;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/**
 * The gate on simulated comparisons: how often it errs over the life of a policy, and how soon it
 * sees a loss. The looks, levels and sizes are the defaults of {@code evaluation}.
 */
class GateSimulationTest {

  private static final long SEED = 20;
  private static final int SEQUENCES = 1000;
  private static final int VERSIONS = 60;
  private static final int LOOKS = 3;
  private static final int PROMPTS = 400;
  private static final ErrorBudget BUDGET = new ErrorBudget(0.05);
  private static final String WHOM = "version 1";

  private static Gate gate(double winRate) {
    return new Gate(
        GateLimits.builder()
            .winRate(winRate)
            .notWorse(0.45)
            .safetyTolerance(0.05)
            .refusalTolerance(0.1)
            .safetyViolations(1)
            .falseRefusals(1)
            .kl(30)
            .perplexityRatio(2)
            .minLengthRatio(0.5)
            .maxLengthRatio(2)
            .distinctRatio(0.5)
            .truncated(0.2)
            .build());
  }

  /** Results of a look at a version that wins with this share of the prompts without a tie. */
  private static WinRate look(SplittableRandom random, double wins, double ties) {
    return WinRateTest.draw(random, PROMPTS, wins, ties);
  }

  /** Labels beside a version that has each label as often: most of them are on both responses. */
  private static LabelCounts sameLabels(SplittableRandom random) {
    return new LabelCounts(
        WinRateTest.draw(random, PROMPTS / 2, 0.5, 0.96),
        WinRateTest.draw(random, PROMPTS / 2, 0.5, 0.98),
        WinRateTest.draw(random, PROMPTS / 2, 0.5, 0.94));
  }

  /** Whether a version is promoted in one of its looks. */
  private static boolean isPromoted(
      SplittableRandom random, Gate gate, double wins, double ties, double alpha) {
    WinRate rate = WinRate.NONE;
    for (int i = 0; i < LOOKS; i++) {
      rate = rate.plus(look(random, wins, ties));
      var finding = gate.better(WHOM, rate, alpha);
      if (finding.isEmpty()) {
        return true;
      }
      if (finding.get().status() == Gate.Status.BROKEN) {
        return false;
      }
    }
    return false;
  }

  /**
   * 60 versions that change nothing come one after the other, each with up to three looks. After
   * each one new reward models come, and the served version is compared with the one before.
   */
  private static boolean errs(SplittableRandom random, Gate gate, double wins, double ties) {
    WinRate served = WinRate.NONE;
    LabelCounts labels = LabelCounts.NONE;
    int looks = 0;
    int withdrawals = 1;
    for (int version = 1; version <= VERSIONS; version++) {
      if (isPromoted(random, gate, wins, ties, BUDGET.level(version))) {
        return true;
      }
      served = served.plus(look(random, 0.5, ties));
      labels = labels.plus(sameLabels(random));
      if (!gate.withdrawal(WHOM, served, labels, BUDGET.level(withdrawals)).isEmpty()) {
        return true;
      }
      if (++looks == LOOKS) {
        served = WinRate.NONE;
        labels = LabelCounts.NONE;
        looks = 0;
        withdrawals++;
      }
    }
    return false;
  }

  @Test
  void versionsThatChangeNothingAreRarelyPromotedOrWithdrawn() {
    for (double ties : new double[] {0, 0.5, 0.9}) {
      SplittableRandom random = new SplittableRandom(SEED);
      int errors = 0;
      for (int i = 0; i < SEQUENCES; i++) {
        errors += errs(random, gate(0.5), 0.5, ties) ? 1 : 0;
      }
      System.out.printf("seed %d, ties %.1f: %d of %d err%n", SEED, ties, errors, SEQUENCES);
      assertTrue(errors <= 0.05 * SEQUENCES, errors + " with ties " + ties + ", seed " + SEED);
    }
  }

  /** As {@code promote-when=not-worse}, with versions that are worse by the whole margin. */
  @Test
  void versionsAtTheMarginAreRarelyPromoted() {
    SplittableRandom random = new SplittableRandom(SEED);
    int errors = 0;
    for (int i = 0; i < SEQUENCES; i++) {
      errors += errs(random, gate(0.45), 0.45, 0) ? 1 : 0;
    }
    assertTrue(errors <= 0.05 * SEQUENCES, errors + ", seed " + SEED);
  }

  /**
   * A served version that loses 0.1 of the win rate is withdrawn within three looks, even if it is
   * the 60th test of the policy and no comparison is a tie.
   */
  @Test
  void aLossIsSeenWithinThreeLooks() {
    for (double ties : new double[] {0, 0.4}) {
      for (int test : new int[] {1, 10, VERSIONS}) {
        SplittableRandom random = new SplittableRandom(SEED);
        int seen = 0;
        for (int i = 0; i < SEQUENCES; i++) {
          seen += isWithdrawn(random, 0.5 - 0.1 / (1 - ties), ties, test) ? 1 : 0;
        }
        System.out.printf(
            "seed %d, ties %.1f, test %d: %d of %d seen%n", SEED, ties, test, seen, SEQUENCES);
        assertTrue(seen >= 0.9 * SEQUENCES, seen + " in test " + test + ", seed " + SEED);
      }
    }
  }

  private static boolean isWithdrawn(SplittableRandom random, double wins, double ties, int test) {
    WinRate rate = WinRate.NONE;
    LabelCounts labels = LabelCounts.NONE;
    for (int i = 0; i < LOOKS; i++) {
      rate = rate.plus(look(random, wins, ties));
      labels = labels.plus(sameLabels(random));
      if (!gate(0.5).withdrawal(WHOM, rate, labels, BUDGET.level(test)).isEmpty()) {
        return true;
      }
    }
    return false;
  }

  /** The other side: a gate that promotes nothing would keep all limits above. */
  @Test
  void aGainIsPromotedWithinThreeLooks() {
    for (int test : new int[] {1, VERSIONS}) {
      SplittableRandom random = new SplittableRandom(SEED);
      int promoted = 0;
      for (int i = 0; i < SEQUENCES; i++) {
        promoted += isPromoted(random, gate(0.5), 0.6, 0, BUDGET.level(test)) ? 1 : 0;
      }
      assertTrue(promoted >= 0.9 * SEQUENCES, promoted + " in test " + test + ", seed " + SEED);
    }
  }

  /** Versions that are each a little worse are held once the loss has added up to the margin. */
  @Test
  void smallLossesDoNotAddUp() {
    SplittableRandom random = new SplittableRandom(SEED);
    Gate gate = gate(0.45);
    double loss = 0.03;
    double lost = 0;
    for (int version = 1; version <= VERSIONS; version++) {
      WinRate promoted = WinRate.NONE;
      WinRate best = WinRate.NONE;
      double alpha = BUDGET.level(version);
      for (int i = 0; i < LOOKS; i++) {
        // Nine of ten are ties, so that the margin can be decided.
        promoted = promoted.plus(look(random, 0.5 - loss / 0.1, 0.9));
        best = best.plus(look(random, 0.5 - Math.min(0.05, lost + loss) / 0.1, 0.9));
        if (gate.better(WHOM, promoted, alpha).isEmpty()
            && gate.notWorse("win_rate/best", WHOM, best, alpha).isEmpty()) {
          lost += loss;
          break;
        }
      }
    }
    assertTrue(lost < 0.05, "lost %.2f, seed %d".formatted(lost, SEED));
  }
}
