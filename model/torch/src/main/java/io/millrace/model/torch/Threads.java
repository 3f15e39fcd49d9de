package io.millrace.model.torch;

import io.millrace.model.torch.library.TorchDevice;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.openblas.global.openblas;
import org.bytedeco.pytorch.global.torch;

/**
 * The threads of a backend on the CPU. With two or more, {@link #sideBySide} gives each task a half
 * of them, so that a core stays with its task and no thread waits at the end of every operator. On
 * a GPU the tasks run one after the other: each fills the device.
 *
 * <p>libtorch's own number of threads belongs to the calling thread. OpenBLAS has one for the
 * process, and its products have other bits with another number. It is therefore always a half,
 * also where a task runs alone: another backend of the process may be at work.
 */
final class Threads implements AutoCloseable {

  private final int count;
  private final boolean parallel;
  private final ExecutorService executor;
  private volatile boolean both;
  private volatile Thread other;
  private Thread first;

  Threads(TorchDevice device, int count) {
    this.count = count;
    this.parallel = device.isCpu() && count > 1;
    try (PointerScope _ = new PointerScope()) {
      openblas.blas_set_num_threads(half());
    }
    torch.set_num_threads(count);
    this.executor =
        parallel
            ? Executors.newSingleThreadExecutor(
                task -> {
                  Thread thread = new Thread(task, "torch-beside");
                  thread.setDaemon(true);
                  return thread;
                })
            : null;
  }

  int count() {
    return count;
  }

  private int half() {
    return Math.max(1, count / 2);
  }

  /** Whether no second task runs now. */
  boolean areIdle() {
    return !both;
  }

  /**
   * 1 for the thread of the second task, else 0. A thread that comes for the first time gets its
   * number of threads: without, it would have that of whichever thread set its own last.
   */
  int lane() {
    Thread current = Thread.currentThread();
    if (current.equals(other)) {
      return 1;
    }
    if (!current.equals(first)) {
      torch.set_num_threads(both ? half() : count);
      first = current;
    }
    return 0;
  }

  void sideBySide(Runnable longer, Runnable second) {
    if (!parallel || both) {
      longer.run();
      second.run();
      return;
    }
    // Before the second task starts: a kernel of the first must not free views from then on.
    both = true;
    torch.set_num_threads(half());
    try {
      Future<?> beside =
          executor.submit(
              () -> {
                torch.set_num_threads(half());
                other = Thread.currentThread();
                second.run();
              });
      RuntimeException failure = null;
      try {
        longer.run();
      } catch (RuntimeException e) {
        failure = e;
      }
      join(beside, failure);
    } finally {
      other = null;
      both = false;
      torch.set_num_threads(count);
    }
  }

  private static void join(Future<?> beside, RuntimeException failure) {
    try {
      beside.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted during an update", e);
    } catch (ExecutionException e) {
      if (failure != null) {
        failure.addSuppressed(e.getCause());
      } else if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      } else {
        throw new IllegalStateException(e.getCause());
      }
    }
    if (failure != null) {
      throw failure;
    }
  }

  @Override
  public void close() {
    if (executor != null) {
      executor.shutdown();
    }
  }
}
