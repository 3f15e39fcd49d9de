package io.millrace.model.chat;

import java.lang.management.ManagementFactory;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Runs the work on a chat template in a thread of its own, with limits on steps, time and memory. A
 * template can come with an announced checkpoint, and must not harm the process that reads it.
 */
final class JinjaLimits {
  /** Nodes of a template that one dialogue may run; templates in use run some hundred. */
  private static final int MOST_STEPS = 20_000;

  private static final long MOST_CPU_NANOS = TimeUnit.SECONDS.toNanos(3);
  private static final long MOST_BYTES = 256L << 20;
  private static final long MOST_WAIT_SECONDS = 20;
  private static final int STACK_BYTES = 4 << 20;

  /** Steps between two looks at the clock, which take longer than a step. */
  private static final int CHECK_EVERY = 16;

  private static final ThreadLocal<JinjaLimits> CURRENT = new ThreadLocal<>();

  private final long startNanos = cpuNanos();
  private final long startBytes = allocatedBytes();
  private int steps;

  private JinjaLimits() {}

  /** A template that exceeded a limit. It is an error, because the engine catches exceptions. */
  private static final class Exceeded extends Error {
    private static final long serialVersionUID = 1L;

    Exceeded(String message) {
      super(message);
    }
  }

  /**
   * Runs the work on one template.
   *
   * @throws IllegalArgumentException from the work, or because the template exceeded a limit
   */
  static <T> T call(Callable<T> work) {
    FutureTask<T> task = new FutureTask<>(work);
    Thread thread = new Thread(null, task, "chat-template", STACK_BYTES);
    thread.setDaemon(true);
    thread.start();
    try {
      return task.get(MOST_WAIT_SECONDS, TimeUnit.SECONDS);
    } catch (ExecutionException e) {
      throw failure(e.getCause());
    } catch (TimeoutException e) {
      thread.interrupt();
      throw new IllegalArgumentException(
          "it runs longer than %d s".formatted(MOST_WAIT_SECONDS), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while a chat template was read", e);
    }
  }

  private static RuntimeException failure(Throwable cause) {
    return switch (cause) {
      case RuntimeException e -> e;
      case Exceeded e -> new IllegalArgumentException(e.getMessage(), e);
      case StackOverflowError e -> new IllegalArgumentException("it is nested too deeply", e);
      case OutOfMemoryError e -> new IllegalArgumentException("it needs too much memory", e);
      default -> new IllegalArgumentException("it cannot be run: " + cause, cause);
    };
  }

  /** Starts the limits of one dialogue on this thread. */
  static void start() {
    CURRENT.set(new JinjaLimits());
  }

  /** Counts a step. The template engine calls this before it runs a node. */
  static void step() {
    JinjaLimits limits = CURRENT.get();
    if (limits != null) {
      limits.count();
    }
  }

  private void count() {
    steps++;
    if (steps > MOST_STEPS) {
      throw new Exceeded("it takes more than %d steps for one dialogue".formatted(MOST_STEPS));
    }
    if (Thread.currentThread().isInterrupted()) {
      throw new Exceeded("it runs longer than %d s".formatted(MOST_WAIT_SECONDS));
    }
    if (steps % CHECK_EVERY == 0) {
      if (cpuNanos() - startNanos > MOST_CPU_NANOS) {
        throw new Exceeded(
            "it runs longer than %d s for one dialogue"
                .formatted(TimeUnit.NANOSECONDS.toSeconds(MOST_CPU_NANOS)));
      }
      if (allocatedBytes() - startBytes > MOST_BYTES) {
        throw new Exceeded(
            "it needs more than %d MiB for one dialogue".formatted(MOST_BYTES >> 20));
      }
    }
  }

  private static long cpuNanos() {
    return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
  }

  /** Bytes that this thread has allocated so far; 0 where the JVM does not count them. */
  private static long allocatedBytes() {
    return ManagementFactory.getThreadMXBean() instanceof com.sun.management.ThreadMXBean bean
        ? bean.getCurrentThreadAllocatedBytes()
        : 0;
  }
}
