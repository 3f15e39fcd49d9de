package io.millrace.model.parallel;

import io.millrace.model.tensor.Tensor;
import java.io.DataOutput;

/** A single rank: its values are the sums, and its parts are the whole. */
final class Alone implements Ranks {

  static final Alone INSTANCE = new Alone();

  private Alone() {}

  @Override
  public int rank() {
    return 0;
  }

  @Override
  public int size() {
    return 1;
  }

  @Override
  public void sum(double[] values) {}

  @Override
  public void sum(Tensor values) {}

  @Override
  public void sum(Tensor values, long[] bounds) {}

  @Override
  public void gather(float[] values, int[] bounds) {}

  @Override
  public void gather(Tensor values, long[] bounds) {}

  @Override
  public void collect(Tensor part, long[] bounds, DataOutput out) {
    throw new IllegalStateException("a single rank has no parts to collect");
  }

  @Override
  public double ofFirst(double value) {
    return value;
  }

  @Override
  public void requireSame(String what, long digest) {}

  @Override
  public long exchangeNanos() {
    return 0;
  }

  @Override
  public long exchangedBytes() {
    return 0;
  }

  @Override
  public void close() {}
}
