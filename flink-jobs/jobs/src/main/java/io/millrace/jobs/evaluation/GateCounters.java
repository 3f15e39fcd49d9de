package io.millrace.jobs.evaluation;

import java.util.Map;

/**
 * Counts that the gate's levels and prompts depend on. Every promotion record carries them, so that
 * a run without state continues with them.
 *
 * @param promotions tests whether a version may be served
 * @param withdrawals tests whether the served version must be withdrawn
 * @param rounds looks so far: each takes the next prompts
 */
record GateCounters(long promotions, long withdrawals, long rounds) {

  private static final String PROMOTIONS = "gate/promotion_tests";
  private static final String WITHDRAWALS = "gate/withdrawal_tests";
  private static final String ROUNDS = "gate/rounds";

  static final GateCounters ZERO = new GateCounters(0, 0, 0);

  /** The higher of each count: a compacted topic may have lost records. */
  GateCounters atLeast(Map<String, Double> metrics) {
    return new GateCounters(
        Math.max(promotions, metrics.getOrDefault(PROMOTIONS, 0.0).longValue()),
        Math.max(withdrawals, metrics.getOrDefault(WITHDRAWALS, 0.0).longValue()),
        Math.max(rounds, metrics.getOrDefault(ROUNDS, 0.0).longValue()));
  }

  Map<String, Double> byName() {
    return Map.of(
        PROMOTIONS, (double) promotions,
        WITHDRAWALS, (double) withdrawals,
        ROUNDS, (double) rounds);
  }

  GateCounters withPromotion() {
    return new GateCounters(promotions + 1, withdrawals, rounds);
  }

  GateCounters withWithdrawal() {
    return new GateCounters(promotions, withdrawals + 1, rounds);
  }

  GateCounters withRound() {
    return new GateCounters(promotions, withdrawals, rounds + 1);
  }
}
