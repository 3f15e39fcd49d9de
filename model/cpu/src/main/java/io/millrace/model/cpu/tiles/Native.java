package io.millrace.model.cpu.tiles;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;

/**
 * Native memory by address, unchecked: for kernels whose innermost loop reads several rows at once,
 * where checks of bounds cost a third of the time. The caller answers for the addresses; all other
 * code uses the checked accesses of {@link Lanes}.
 */
@SuppressWarnings("restricted") // Raw memory is what it is for.
public final class Native {

  public static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

  public static final ByteOrder ORDER = ByteOrder.nativeOrder();

  private Native() {}

  public static FloatVector load(long address) {
    return FloatVector.fromMemorySegment(Lanes.F, ALL, address, ORDER);
  }

  public static void store(FloatVector vector, long address) {
    vector.intoMemorySegment(ALL, address, ORDER);
  }

  static float get(long address) {
    return ALL.get(JAVA_FLOAT, address);
  }

  public static void put(long address, float value) {
    ALL.set(JAVA_FLOAT, address, value);
  }

  static void copy(long from, long to, long count) {
    MemorySegment.copy(ALL, from, ALL, to, count * Float.BYTES);
  }

  public static void zero(long address, long count) {
    ALL.asSlice(address, count * Float.BYTES).fill((byte) 0);
  }
}
