package io.millrace.cli.bench;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.millrace.model.tensor.Backend;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;

/**
 * A backend that counts the calls of each kernel and the calling thread's processor time. Processor
 * time excludes other processes; it includes the thread's busy waiting for other threads.
 */
final class KernelTimes {

  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  private static final class Entry {
    final LongAdder calls = new LongAdder();
    final LongAdder nanos = new LongAdder();
  }

  private final Map<String, Entry> entries = new ConcurrentHashMap<>();

  /** Processor time of tasks beside the calling thread, in nanoseconds. */
  private final LongAdder beside = new LongAdder();

  private volatile boolean counting;
  private long resumedAt;
  private long counted;

  /** Wraps a backend to time its kernels. */
  Backend timing(Backend backend) {
    return (Backend)
        Proxy.newProxyInstance(
            Backend.class.getClassLoader(),
            new Class<?>[] {Backend.class},
            (proxy, method, arguments) -> {
              if (method.getName().equals("sideBySide")) {
                backend.sideBySide((Runnable) arguments[0], beside((Runnable) arguments[1]));
                return null;
              }
              long start = THREADS.getCurrentThreadCpuTime();
              try {
                return method.invoke(backend, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              } finally {
                if (counting) {
                  Entry entry = entries.computeIfAbsent(method.getName(), name -> new Entry());
                  entry.calls.increment();
                  entry.nanos.add(THREADS.getCurrentThreadCpuTime() - start);
                }
              }
            });
  }

  private Runnable beside(Runnable task) {
    long caller = Thread.currentThread().threadId();
    return () -> {
      long start = THREADS.getCurrentThreadCpuTime();
      task.run();
      if (counting && Thread.currentThread().threadId() != caller) {
        beside.add(THREADS.getCurrentThreadCpuTime() - start);
      }
    };
  }

  /** Starts or resumes counting. */
  void resume() {
    counting = true;
    resumedAt = THREADS.getCurrentThreadCpuTime();
  }

  /** Stops counting until {@link #resume}. */
  void pause() {
    counted += THREADS.getCurrentThreadCpuTime() - resumedAt;
    counting = false;
  }

  /** One line of JSON: calls, milliseconds and share of each kernel in one repetition. */
  String toJson(int repetitions) {
    double all = (counted + beside.sum()) / 1e6 / repetitions;
    Map<String, Map<String, Number>> kernels = new LinkedHashMap<>();
    double inKernels = 0;
    for (Map.Entry<String, Entry> entry :
        entries.entrySet().stream()
            .sorted(Comparator.comparingLong(each -> -each.getValue().nanos.sum()))
            .toList()) {
      double milliseconds = entry.getValue().nanos.sum() / 1e6 / repetitions;
      inKernels += milliseconds;
      kernels.put(
          entry.getKey(), row(entry.getValue().calls.sum() / repetitions, milliseconds, all));
    }
    kernels.put("outside", row(0, all - inKernels, all));
    try {
      return new ObjectMapper().writeValueAsString(Map.of("kernels", kernels));
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("numbers by name are JSON", e);
    }
  }

  private static Map<String, Number> row(long calls, double milliseconds, double all) {
    Map<String, Number> row = new LinkedHashMap<>();
    row.put("calls", calls);
    row.put("milliseconds", BenchLine.rounded(milliseconds));
    row.put("share", BenchLine.rounded(milliseconds / all));
    return row;
  }
}
