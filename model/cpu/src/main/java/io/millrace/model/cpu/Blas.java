package io.millrace.model.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.millrace.model.cpu.tiles.Matrix;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.openblas.global.openblas_nolapack;

/**
 * Matrix products by OpenBLAS's sgemm, for processors without {@link TiledGemm}'s machine code. The
 * library is the one of ND4J. JavaCPP unpacks and loads it. Java's foreign-function interface calls
 * it, which costs some 20 ns and creates no garbage.
 *
 * <p>A product uses the calling thread only. {@link WorkPool} runs products in parallel, so all
 * kernels share one budget of threads.
 */
@SuppressWarnings("restricted") // This class calls native code.
final class Blas implements Gemm {

  private static final int ROW_MAJOR = 101;
  private static final int NO_TRANSPOSE = 111;
  private static final int TRANSPOSE = 112;

  private static final MethodHandle SGEMM;

  static {
    Loader.load(openblas_nolapack.class);
    Path library =
        Loader.getLoadedLibraries().values().stream()
            .filter(
                path -> path != null && Path.of(path).getFileName().toString().contains("openblas"))
            .filter(path -> !Path.of(path).getFileName().toString().contains("jni"))
            .map(Path::of)
            .findFirst()
            .orElseThrow(
                () ->
                    new UnsatisfiedLinkError(
                        "OpenBLAS is not among the libraries that JavaCPP loaded: "
                            + Loader.getLoadedLibraries().keySet()));
    SymbolLookup symbols = SymbolLookup.libraryLookup(library, Arena.global());
    SGEMM =
        function(
            symbols,
            "cblas_sgemm",
            JAVA_INT, // order
            JAVA_INT, // transpose a
            JAVA_INT, // transpose b
            JAVA_INT, // m
            JAVA_INT, // n
            JAVA_INT, // k
            JAVA_FLOAT, // alpha
            JAVA_LONG, // a
            JAVA_INT, // lda
            JAVA_LONG, // b
            JAVA_INT, // ldb
            JAVA_FLOAT, // beta
            JAVA_LONG, // c
            JAVA_INT); // ldc
    try {
      function(symbols, "openblas_set_num_threads", JAVA_INT).invokeExact(1);
    } catch (Throwable e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private static MethodHandle function(
      SymbolLookup symbols, String name, MemoryLayout... arguments) {
    return Linker.nativeLinker()
        .downcallHandle(symbols.findOrThrow(name), FunctionDescriptor.ofVoid(arguments));
  }

  /** Calls sgemm; the strides determine which operands are transposed. */
  @Override
  public void multiply(int worker, int m, int n, int k, Matrix a, Matrix b, boolean add, Matrix c) {
    try {
      SGEMM.invokeExact(
          ROW_MAJOR,
          transposition(a),
          transposition(b),
          m,
          n,
          k,
          1f,
          a.address(),
          leading(a, m, k),
          b.address(),
          leading(b, k, n),
          add ? 1f : 0f,
          c.address(),
          leading(c, m, n));
    } catch (Throwable e) {
      throw new IllegalStateException("sgemm failed", e);
    }
  }

  private static int transposition(Matrix matrix) {
    return matrix.isByRows() ? NO_TRANSPOSE : TRANSPOSE;
  }

  /** The leading dimension: the distance of rows, or of columns in a column-major matrix. */
  private static int leading(Matrix matrix, int rows, int columns) {
    long stride = matrix.isByRows() ? matrix.rowStride() : matrix.columnStride();
    return Math.max((int) (stride / Matrix.ELEMENT), matrix.isByRows() ? columns : rows);
  }
}
