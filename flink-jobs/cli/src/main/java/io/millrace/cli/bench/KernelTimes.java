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
 * Where the time goes: a backend that counts, for each kernel, calls and the calling thread's
 * processor time. Processor time leaves out what other processes take; it is what the thread waits
 * actively for its fellows, too.
 */
public final class KernelTimes {

  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  private static final class Entry {
    final LongAdder calls = new LongAdder();
    final LongAdder nanos = new LongAdder();
  }

  private final Map<String, Entry> entries = new ConcurrentHashMap<>();

  /** Of tasks that run side by side with the calling thread's. */
  private final LongAdder beside = new LongAdder();

  private volatile boolean counting;
  private long resumedAt;
  private long counted;

  /** The same backend, with its kernels timed. */
  public Backend timing(Backend backend) {
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

  /** Counts from here. */
  void resume() {
    counting = true;
    resumedAt = THREADS.getCurrentThreadCpuTime();
  }

  /** Counts no more, until it is resumed. */
  void pause() {
    counted += THREADS.getCurrentThreadCpuTime() - resumedAt;
    counting = false;
  }

  /** One line of JSON: calls, milliseconds and share of each kernel in one repetition. */
  public String toJson(int repetitions) {
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
          entry.getKey(), figures(entry.getValue().calls.sum() / repetitions, milliseconds, all));
    }
    kernels.put("outside", figures(0, all - inKernels, all));
    try {
      return new ObjectMapper().writeValueAsString(Map.of("kernels", kernels));
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("numbers by name are JSON", e);
    }
  }

  private static Map<String, Number> figures(long calls, double milliseconds, double all) {
    Map<String, Number> figures = new LinkedHashMap<>();
    figures.put("calls", calls);
    figures.put("milliseconds", BenchLine.rounded(milliseconds));
    figures.put("share", BenchLine.rounded(milliseconds / all));
    return figures;
  }
}
