package io.millrace.model.torch.library;

import org.bytedeco.pytorch.cuda.CUDAStream;
import org.bytedeco.pytorch.global.torch_cuda;

/**
 * A CUDA stream beside the one that all kernels use, which is the same for all threads. Without it
 * each piece of a copy would wait for every kernel that training has started.
 */
final class SideStream {

  private static final boolean HIGH_PRIORITY = true;

  private SideStream() {}

  /** Runs copies that end before this method returns. */
  static void run(byte device, Runnable copies) {
    CUDAStream kernels = torch_cuda.getCurrentCUDAStream(device);
    torch_cuda.setCurrentCUDAStream(torch_cuda.getStreamFromPool(HIGH_PRIORITY, device));
    try {
      copies.run();
    } finally {
      torch_cuda.setCurrentCUDAStream(kernels);
    }
  }

  /** Waits until the kernels that were started so far have written their results. */
  static void awaitKernels(byte device) {
    torch_cuda.getCurrentCUDAStream(device).synchronize();
  }
}
