package io.millrace.model.torch.library;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Context;
import org.bytedeco.pytorch.global.torch;

/** Loads libtorch once in a process, and says what it found. */
public final class Libtorch {

  private static final String FOLDER = "/org/bytedeco/pytorch/" + Loader.Detector.getPlatform();
  private static final String GPU_NATIVES = FOLDER + "-gpu/";

  /**
   * What libtorch's CUDA natives link to. NVIDIA's CUDA 13 images and Python wheels have them;
   * Maven Central does not.
   */
  private static final List<String> CUDA_LIBRARIES =
      List.of(
          "libcuda.so.1",
          "libcudart.so.13",
          "libcublas.so.13",
          "libcublasLt.so.13",
          "libcudnn.so.9",
          "libnccl.so.2",
          "libcusparse.so.12",
          "libcufft.so.12",
          "libcurand.so.10",
          "libcufile.so.0");

  /**
   * Read when the libraries are loaded. Without PASSIVE the idle threads of an OpenMP pool spin,
   * which made two pools 30 times slower. cuBLAS gives the same bits each time only with a
   * workspace of fixed size.
   */
  private static final Map<String, String> ENVIRONMENT =
      Map.of("OMP_WAIT_POLICY", "PASSIVE", "CUBLAS_WORKSPACE_CONFIG", ":4096:8");

  private static boolean loaded;

  private Libtorch() {}

  /** Whether the natives on the class path are those for CUDA. */
  public static boolean isForCuda() {
    return torch.class.getResource(GPU_NATIVES + "libtorch_cuda.so") != null;
  }

  /** The libraries that the natives on the class path need and this machine does not have. */
  public static List<String> missingLibraries() {
    return isForCuda() ? missing(CUDA_LIBRARIES) : List.of();
  }

  public static List<String> missing(List<String> names) {
    return names.stream().filter(name -> !isThere(name)).toList();
  }

  @SuppressWarnings("restricted")
  private static boolean isThere(String name) {
    try (Arena arena = Arena.ofConfined()) {
      SymbolLookup _ = SymbolLookup.libraryLookup(name, arena);
      return true;
    } catch (IllegalArgumentException e) {
      return false;
    }
  }

  /**
   * Loads libtorch.
   *
   * @throws IllegalStateException if a library is missing; the message names all of them
   */
  public static synchronized void load() {
    if (loaded) {
      return;
    }
    List<String> missing = missingLibraries();
    if (!missing.isEmpty()) {
      throw new IllegalStateException(
          ("backend torch: the CUDA natives need %s, which this machine does not have; install"
                  + " NVIDIA's driver, CUDA 13, cuDNN 9 and NCCL and name their folders in"
                  + " LD_LIBRARY_PATH, or build with MILLRACE_TORCH=cpu")
              .formatted(String.join(", ", missing)));
    }
    ENVIRONMENT.forEach(Libtorch::setUnlessSet);
    try {
      // Without this the first load on a fresh cache crashes: a library is unpacked while another
      // one already looks for it.
      Loader.cacheResources(isForCuda() ? GPU_NATIVES : FOLDER + "/");
      Loader.load(torch.class);
      if (isForCuda()) {
        Loader.load(org.bytedeco.pytorch.global.torch_cuda.class);
      }
    } catch (IOException e) {
      throw new UncheckedIOException("backend torch: libtorch cannot be unpacked", e);
    } catch (LinkageError e) {
      throw new IllegalStateException(
          "backend torch: libtorch cannot be loaded on this machine: " + e.getMessage(), e);
    }
    Context context = torch.globalContext();
    context.setDeterministicAlgorithms(true, false);
    // Every kernel overwrites what it allocates; filling it with NaN first would cost a pass.
    context.setDeterministicFillUninitializedMemory(false);
    context.setAllowTF32CuBLAS(false);
    context.setAllowBF16ReductionCuBLAS(false);
    loaded = true;
  }

  /** The release, such as {@code 2.10.0}. */
  public static String version() {
    return configured("TORCH_VERSION=([0-9.]+)");
  }

  /** The vector instructions of the CPU kernels, such as {@code AVX512}. */
  public static String cpuCapability() {
    return configured("CPU capability usage: (\\S+)");
  }

  private static String configured(String pattern) {
    load();
    try (PointerScope _ = new PointerScope()) {
      Matcher matcher = Pattern.compile(pattern).matcher(torch.show_config().getString());
      return matcher.find() ? matcher.group(1) : "unknown";
    }
  }

  /** Number of CUDA devices that libtorch sees. */
  public static int cudaDevices() {
    load();
    return isForCuda() && torch.cuda_is_available() ? (int) torch.getNumGPUs() : 0;
  }

  /** The environment of the process itself: Java's is a copy, and C code does not see changes. */
  @SuppressWarnings("restricted")
  private static void setUnlessSet(String name, String value) {
    Linker linker = Linker.nativeLinker();
    MethodHandle setenv =
        linker.downcallHandle(
            linker.defaultLookup().findOrThrow("setenv"),
            FunctionDescriptor.of(
                ValueLayout.JAVA_INT,
                ValueLayout.ADDRESS,
                ValueLayout.ADDRESS,
                ValueLayout.JAVA_INT));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment key = arena.allocateFrom(name);
      int _ = (int) setenv.invokeExact(key, arena.allocateFrom(value), 0);
    } catch (Throwable e) {
      throw new IllegalStateException("setenv " + name, e);
    }
  }
}
