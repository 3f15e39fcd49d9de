package io.millrace.jobs.runtime;

import org.apache.flink.api.common.accumulators.Accumulator;

/**
 * The number of withdrawals that an operator has applied to all that it keeps. Of several operators
 * and subtasks it is the lowest number: so many withdrawals the whole job has applied.
 */
public final class AppliedWithdrawals implements Accumulator<Long, Long> {

  /** The accumulator's name. */
  public static final String NAME = "withdrawals/applied";

  private static final long serialVersionUID = 1;

  private volatile long applied = Long.MAX_VALUE;

  /** Replaces the number. */
  @Override
  public void add(Long number) {
    applied = number;
  }

  @Override
  public Long getLocalValue() {
    return applied;
  }

  @Override
  public void resetLocal() {
    applied = Long.MAX_VALUE;
  }

  @Override
  public void merge(Accumulator<Long, Long> other) {
    applied = Math.min(applied, other.getLocalValue());
  }

  @Override
  public Accumulator<Long, Long> clone() {
    AppliedWithdrawals copy = new AppliedWithdrawals();
    copy.applied = applied;
    return copy;
  }
}
