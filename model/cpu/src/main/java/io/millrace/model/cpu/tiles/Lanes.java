package io.millrace.model.cpu.tiles;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/** Vector operations that all kernels share. Indices count elements, not bytes. */
public final class Lanes {

  /** The vectors of all kernels: the preferred size of the machine, at most 512 bits. */
  public static final VectorSpecies<Float> F =
      FloatVector.SPECIES_PREFERRED.length() > 16
          ? FloatVector.SPECIES_512
          : FloatVector.SPECIES_PREFERRED;

  /** Elements of a vector. */
  public static final int WIDTH = F.length();

  private static final VectorShuffle<Float> BY_EIGHT = rotation(8);
  private static final VectorShuffle<Float> BY_FOUR = rotation(4);
  private static final VectorShuffle<Float> BY_TWO = rotation(2);

  private static final VectorShuffle<Float> BY_HALF = across(WIDTH / 2);
  private static final VectorShuffle<Float> BY_QUARTER = across(WIDTH / 4);
  private static final VectorShuffle<Float> ACROSS_TWO = across(2);
  private static final VectorShuffle<Float> ACROSS_ONE = across(1);
  private static final VectorMask<Float> HALF = odd(WIDTH / 2);
  private static final VectorMask<Float> QUARTER = odd(WIDTH / 4);

  /** Moves the four sums to the first four lanes, in order. The other lanes are undefined. */
  private static final VectorShuffle<Float> QUARTERS =
      VectorShuffle.fromOp(F, i -> (i % 2 * 2 + i / 2 % 2) * (WIDTH / 4));

  private static final ByteOrder ORDER = ByteOrder.nativeOrder();

  private static final FloatVector INDICES = FloatVector.zero(F).addIndex(1);

  // Constants are vectors, because the compiler stops inlining in a method with too many
  // operations. A broadcast counts as several operations.
  public static final FloatVector ONE = all(1);
  public static final FloatVector LOG2_E = all(1.442695f);

  /**
   * −ln 2 as a sum of two constants. The first has so few digits that its product with a small
   * integer is exact.
   */
  public static final FloatVector LN2_HIGH = all(-355f / 512);

  public static final FloatVector LN2_LOW = all(2.1219444e-4f);

  /** 1.5 · 2^23: adding it rounds a number to an integer, which is then in the lowest bits. */
  public static final FloatVector ROUND = all(12_582_912f);

  /** Lower bound of the argument of {@link #exp}; below it the result would be denormal. */
  public static final FloatVector LOWEST = all(-87.3f);

  /** Upper bound of the argument of {@link #exp}. */
  public static final FloatVector HIGHEST = all(88.3f);

  // Coefficients of the polynomial in exp.
  public static final FloatVector C6 = all(1.9875691e-4f);
  public static final FloatVector C5 = all(1.3981999e-3f);
  public static final FloatVector C4 = all(8.333452e-3f);
  public static final FloatVector C3 = all(4.1665796e-2f);
  public static final FloatVector C2 = all(1.6666666e-1f);
  public static final FloatVector C1 = all(5e-1f);

  private Lanes() {}

  /** Loads the vector that begins at an element. */
  public static FloatVector load(MemorySegment memory, long index) {
    return FloatVector.fromMemorySegment(F, memory, index * Float.BYTES, ORDER);
  }

  /** Loads the lanes of the mask; the others are 0. */
  public static FloatVector load(MemorySegment memory, long index, VectorMask<Float> mask) {
    return FloatVector.fromMemorySegment(F, memory, index * Float.BYTES, ORDER, mask);
  }

  /** Stores a vector from an element on. */
  public static void store(FloatVector vector, MemorySegment memory, long index) {
    vector.intoMemorySegment(memory, index * Float.BYTES, ORDER);
  }

  /** Stores the lanes of the mask. */
  public static void store(
      FloatVector vector, MemorySegment memory, long index, VectorMask<Float> mask) {
    vector.intoMemorySegment(memory, index * Float.BYTES, ORDER, mask);
  }

  /** The lanes of the elements i to n − 1, for the end of a loop over n elements. */
  public static VectorMask<Float> rest(long i, long n) {
    return F.indexInRange(i, n);
  }

  /** n rounded up to a multiple of the vector width. */
  public static int padded(int n) {
    return (n + WIDTH - 1) & -WIDTH;
  }

  /** n rounded down to a multiple of the vector width. */
  public static int whole(int n) {
    return n & -WIDTH;
  }

  /** The first n lanes. */
  public static VectorMask<Float> first(int n) {
    return INDICES.compare(VectorOperators.LT, n);
  }

  public static FloatVector zero() {
    return FloatVector.zero(F);
  }

  /** A vector with the value in every lane. */
  public static FloatVector all(float value) {
    return FloatVector.broadcast(F, value);
  }

  /**
   * e^x with an error of at most 2 units in the last place, for x in [−87.3, 88.3]. An argument
   * outside gives the result at the bound. The method: x = n · ln 2 + r with |r| ≤ ½ · ln 2, a
   * polynomial for e^r (Cephes, expf), and n added to the exponent.
   */
  public static FloatVector exp(FloatVector argument) {
    FloatVector x = argument.max(LOWEST).min(HIGHEST);
    FloatVector shifted = x.fma(LOG2_E, ROUND);
    FloatVector n = shifted.sub(ROUND);
    FloatVector r = n.fma(LN2_LOW, n.fma(LN2_HIGH, x));
    FloatVector p = C6.fma(r, C5).fma(r, C4).fma(r, C3).fma(r, C2).fma(r, C1);
    p = p.fma(r.mul(r), r).add(ONE);
    IntVector power = shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23);
    return p.reinterpretAsInts().add(power).reinterpretAsFloats();
  }

  /**
   * The sum of all lanes, by adding halves. {@code reduceLanes(ADD)} does not define the order, and
   * its order differs before and after JIT compilation. Results would depend on the time of
   * compilation.
   */
  public static float sum(FloatVector vector) {
    FloatVector folded = vector;
    if (WIDTH > 8) {
      folded = folded.add(folded.rearrange(BY_EIGHT));
    }
    if (WIDTH > 4) {
      folded = folded.add(folded.rearrange(BY_FOUR));
    }
    if (WIDTH > 2) {
      folded = folded.add(folded.rearrange(BY_TWO));
    }
    return folded.lane(0) + folded.lane(1);
  }

  /**
   * The sums of the lanes of four vectors, in the first four lanes of the result. Each equals
   * {@link #sum(FloatVector)} bit for bit. Two vectors share one on the way, which takes half the
   * time.
   */
  public static FloatVector sums(FloatVector a, FloatVector b, FloatVector c, FloatVector d) {
    FloatVector ab = folded(a, b, HALF, BY_HALF);
    FloatVector cd = folded(c, d, HALF, BY_HALF);
    FloatVector folded = folded(ab, cd, QUARTER, BY_QUARTER);
    if (WIDTH > 8) {
      folded = folded.add(folded.rearrange(ACROSS_TWO));
    }
    if (WIDTH > 4) {
      folded = folded.add(folded.rearrange(ACROSS_ONE));
    }
    return folded.rearrange(QUARTERS);
  }

  /** Adds the halves of two vectors. The sums of the second are in the lanes of the mask. */
  private static FloatVector folded(
      FloatVector a, FloatVector b, VectorMask<Float> second, VectorShuffle<Float> across) {
    return a.blend(b, second).add(b.blend(a, second).rearrange(across));
  }

  /** The sum of all lanes of a float64 vector, in order. */
  public static double sum(DoubleVector vector) {
    double sum = 0;
    for (double lane : vector.toArray()) {
      sum += lane;
    }
    return sum;
  }

  /** Swaps the lanes whose indices differ in the given bit. */
  private static VectorShuffle<Float> across(int bit) {
    return VectorShuffle.fromOp(F, i -> i ^ bit);
  }

  /** The lanes whose index has the given bit. */
  private static VectorMask<Float> odd(int bit) {
    boolean[] lanes = new boolean[WIDTH];
    for (int i = 0; i < WIDTH; i++) {
      lanes[i] = (i & bit) != 0;
    }
    return VectorMask.fromArray(F, lanes, 0);
  }

  private static VectorShuffle<Float> rotation(int by) {
    return VectorShuffle.iota(F, Math.min(by, WIDTH - 1), 1, true);
  }
}
