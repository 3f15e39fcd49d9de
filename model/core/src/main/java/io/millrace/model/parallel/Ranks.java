package io.millrace.model.parallel;

import io.millrace.model.tensor.Tensor;
import java.io.DataOutput;
import java.io.IOException;

/**
 * The ranks that train one model together. Every rank calls the same methods in the same order,
 * with values of the same sizes.
 *
 * <p>Sums are taken in float32 (float64 for doubles) in the order of the ranks, {@code ((x₀ + x₁) +
 * x₂) + …}, whichever rank is ready first and wherever it runs. All ranks get the same bits.
 *
 * <p>All methods throw an {@link java.io.UncheckedIOException} of a {@link RankLostException} that
 * names the rank and its host, if a rank is gone.
 */
public interface Ranks extends AutoCloseable {

  /** One rank, which has nobody to exchange with. */
  static Ranks alone() {
    return Alone.INSTANCE;
  }

  /** This rank, from 0. */
  int rank();

  int size();

  /** Whether there is no other rank. */
  default boolean isAlone() {
    return size() == 1;
  }

  /** Replaces the values of each rank by their sum over the ranks. */
  void sum(double[] values);

  /** Likewise, for the elements of a tensor. */
  void sum(Tensor values);

  /**
   * Likewise, where each rank needs a part of the sum. On rank 0 the tensor holds the whole sum
   * afterwards, on any other rank its part; the remaining elements are undefined there.
   *
   * @param bounds rank r has elements {@code [bounds[r], bounds[r + 1])}, {@code [size + 1]}
   */
  void sum(Tensor values, long[] bounds);

  /**
   * Gives every rank the parts of all ranks.
   *
   * @param bounds rank r has elements {@code [bounds[r], bounds[r + 1])}, {@code [size + 1]}
   */
  void gather(float[] values, int[] bounds);

  /** Likewise, for the elements of a tensor. */
  void gather(Tensor values, long[] bounds);

  /**
   * Writes the parts of all ranks on rank 0, in their order, as float32 with the highest byte
   * first.
   *
   * @param part of this rank
   * @param bounds of the parts, {@code [size + 1]}
   * @param out on rank 0; null on the others
   */
  void collect(Tensor part, long[] bounds, DataOutput out) throws IOException;

  /** The value that rank 0 has. */
  double ofFirst(double value);

  /**
   * Compares a number that all ranks must have.
   *
   * @param what the number is of, such as {@code the policy's weights after iteration 3}
   * @throws IllegalStateException on rank 0, if a rank has another one
   */
  void requireSame(String what, long digest);

  /** Nanoseconds that this rank spent in exchanges so far, waiting for other ranks included. */
  long exchangeNanos();

  /** Bytes that this rank sent and received so far. */
  long exchangedBytes();

  @Override
  void close();
}
