package io.millrace.model.cpu.tiles;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;

/**
 * Native memory by address, without bounds checks. It is for kernels whose innermost loop reads
 * several rows at once; bounds checks would cost a third of the time there. The caller is
 * responsible for the addresses. All other code uses the checked accesses of {@link Lanes}.
 */
@SuppressWarnings("restricted") // This class accesses raw memory.
public final class Native {

  /** All memory: an offset is an address. */
  public static final MemorySegment ALL = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

  /** Byte order of the machine. */
  public static final ByteOrder ORDER = ByteOrder.nativeOrder();

  private Native() {}

  /** Loads the vector at an address. */
  public static FloatVector load(long address) {
    return FloatVector.fromMemorySegment(Lanes.F, ALL, address, ORDER);
  }

  /** Stores a vector at an address. */
  public static void store(FloatVector vector, long address) {
    vector.intoMemorySegment(ALL, address, ORDER);
  }

  /** The float at an address. */
  public static float get(long address) {
    return ALL.get(JAVA_FLOAT, address);
  }

  /** Stores a float at an address. */
  public static void put(long address, float value) {
    ALL.set(JAVA_FLOAT, address, value);
  }

  /** Copies {@code count} floats. */
  public static void copy(long from, long to, long count) {
    MemorySegment.copy(ALL, from, ALL, to, count * Float.BYTES);
  }

  /** Sets {@code count} floats to 0. */
  public static void zero(long address, long count) {
    ALL.asSlice(address, count * Float.BYTES).fill((byte) 0);
  }
}
