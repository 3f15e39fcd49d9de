package io.millrace.model.cpu.tiles;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import com.sun.management.HotSpotDiagnosticMXBean;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** Tiles in machine code, which {@link TileCode} generates when the first backend is opened. */
@SuppressWarnings("restricted") // This class calls native code.
public final class MachineTiles implements Tiles {

  // Constants of mmap and mprotect.
  private static final int READ = 1;
  private static final int WRITE = 2;
  private static final int EXECUTE = 4;
  private static final int PRIVATE = 2;
  private static final int ANONYMOUS =
      System.getProperty("os.name").startsWith("Mac") ? 0x1000 : 32;

  /** Alignment of functions, in bytes. */
  private static final int ALIGNMENT = 64;

  /**
   * Skips the JVM's thread state transition. A call takes microseconds, so a garbage collection can
   * wait for it.
   */
  private static final Linker.Option CRITICAL = Linker.Option.critical(false);

  private static final MethodHandle MULTIPLY = handle(12);
  private static final MethodHandle TRANSPOSE = handle(7);

  /** System property; false selects the Vector API and OpenBLAS. */
  static final String ALLOWED = "millrace.machine-code";

  private final TileCode code;

  private static final int KINDS = Sums.values().length;

  /** Functions by rows, vectors and what becomes of c. */
  private final MemorySegment[] multiply;

  private final MemorySegment transpose;

  /**
   * Generates the code.
   *
   * @param wide whether to use AVX-512 instead of AVX2; the processor must support it
   * @throws UnsupportedOperationException if the system does not allow generated code
   */
  MachineTiles(boolean wide) {
    code = new TileCode(wide);
    List<byte[]> functions = new ArrayList<>();
    for (int rows = 1; rows <= code.rows(); rows++) {
      for (int vectors = 1; vectors <= VECTORS; vectors++) {
        for (Sums sums : Sums.values()) {
          functions.add(code.multiply(rows, vectors, sums));
        }
      }
    }
    functions.add(new TileCode(false).transpose());
    MemorySegment[] loaded = load(functions);
    multiply = Arrays.copyOf(loaded, loaded.length - 1);
    transpose = loaded[loaded.length - 1];
  }

  /** Tiles with the vector width of the Vector API; empty if the machine does not support them. */
  static Optional<MachineTiles> ifSupported() {
    if (!Boolean.parseBoolean(System.getProperty(ALLOWED, "true")) || !isSupported()) {
      return Optional.empty();
    }
    try {
      return Optional.of(new MachineTiles(Lanes.WIDTH == 16));
    } catch (UnsupportedOperationException forbidden) {
      return Optional.empty();
    }
  }

  /**
   * Whether this JVM uses FMA and at least AVX2, on a system with the System V calling convention.
   */
  private static boolean isSupported() {
    boolean x86 = Set.of("amd64", "x86_64").contains(System.getProperty("os.arch"));
    if (!x86 || System.getProperty("os.name").startsWith("Windows") || Lanes.WIDTH < 8) {
      return false;
    }
    HotSpotDiagnosticMXBean jvm =
        ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class);
    return jvm != null
        && Integer.parseInt(jvm.getVMOption("UseAVX").getValue()) >= 2
        && Boolean.parseBoolean(jvm.getVMOption("UseFMA").getValue());
  }

  private static MethodHandle handle(int arguments) {
    MemoryLayout[] layouts = Collections.nCopies(arguments, JAVA_LONG).toArray(MemoryLayout[]::new);
    return Linker.nativeLinker().downcallHandle(FunctionDescriptor.ofVoid(layouts), CRITICAL);
  }

  /** Copies the functions to memory that is executable and then no longer writable. */
  private static MemorySegment[] load(List<byte[]> functions) {
    long size = functions.stream().mapToLong(function -> aligned(function.length)).sum();
    Linker linker = Linker.nativeLinker();
    MethodHandle map =
        linker.downcallHandle(
            linker.defaultLookup().findOrThrow("mmap"),
            FunctionDescriptor.of(
                JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG));
    MethodHandle protect =
        linker.downcallHandle(
            linker.defaultLookup().findOrThrow("mprotect"),
            FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));
    try {
      long address = (long) map.invokeExact(0L, size, READ | WRITE, PRIVATE | ANONYMOUS, -1, 0L);
      if (address == -1) {
        throw new UnsupportedOperationException(
            "mmap of " + size + " bytes for generated code failed");
      }
      MemorySegment memory = MemorySegment.ofAddress(address).reinterpret(size);
      MemorySegment[] loaded = new MemorySegment[functions.size()];
      long at = 0;
      for (int i = 0; i < loaded.length; i++) {
        byte[] function = functions.get(i);
        MemorySegment.copy(function, 0, memory, JAVA_BYTE, at, function.length);
        loaded[i] = memory.asSlice(at, function.length);
        at += aligned(function.length);
      }
      if ((int) protect.invokeExact(address, size, READ | EXECUTE) != 0) {
        throw new UnsupportedOperationException(
            "mprotect: this system does not allow generated code to be executed");
      }
      return loaded;
    } catch (RuntimeException e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  private static long aligned(int length) {
    return Math.ceilDiv(length, ALIGNMENT) * (long) ALIGNMENT;
  }

  @Override
  public String toString() {
    return code.lanes() == 16 ? "AVX-512" : "AVX2";
  }

  @Override
  public int rows() {
    return code.rows();
  }

  @Override
  public int lanes() {
    return code.lanes();
  }

  @Override
  public void multiply(
      int rows,
      int vectors,
      Sums sums,
      Matrix a,
      Matrix b,
      Matrix c,
      int k,
      int count,
      long aStep,
      long bStep,
      long cStep) {
    int function = ((rows - 1) * VECTORS + vectors - 1) * KINDS + sums.ordinal();
    try {
      MULTIPLY.invokeExact(
          multiply[function],
          a.address(),
          a.rowStride(),
          a.columnStride(),
          b.address(),
          b.rowStride(),
          c.address(),
          c.rowStride(),
          (long) k,
          (long) count,
          aStep,
          bStep,
          cStep);
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void transpose(
      long from, long fromStride, long to, long toStride, int count, long fromStep, long toStep) {
    try {
      TRANSPOSE.invokeExact(
          transpose, from, fromStride, to, toStride, (long) count, fromStep, toStep);
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }
}
