package io.millrace.jobs.runtime;

import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * Results of training on their way to the task thread, in order. A {@link LateRecord} holds back
 * everything behind it until it is made, so that the order of the output never depends on the speed
 * of a thread. Late records are made one after the other.
 */
final class Outbox implements AutoCloseable {

  private interface Entry {
    boolean isReady();

    void await() throws InterruptedException;

    void emit();

    void abandon();
  }

  private final Queue<Entry> entries = new ConcurrentLinkedQueue<>();
  private final String name;
  private final Runnable made;
  private ExecutorService maker;

  /**
   * @param name of the thread that makes late records
   * @param made runs on that thread after each of them
   */
  Outbox(String name, Runnable made) {
    this.name = name;
    this.made = made;
  }

  /** Adds an action of the task thread. */
  void add(Runnable emit) {
    entries.add(
        new Entry() {
          @Override
          public boolean isReady() {
            return true;
          }

          @Override
          public void await() {}

          @Override
          public void emit() {
            emit.run();
          }

          @Override
          public void abandon() {}
        });
  }

  /** Begins to make a record, which the task thread then emits. */
  <T> void add(LateRecord<T> record, Consumer<T> emit) {
    FutureTask<T> making =
        new FutureTask<>(
            () -> {
              try (record) {
                return record.make();
              }
            });
    entries.add(
        new Entry() {
          @Override
          public boolean isReady() {
            return making.isDone();
          }

          @Override
          public void await() throws InterruptedException {
            try {
              T _ = making.get();
            } catch (ExecutionException e) {
              // Thrown by emit, in its turn.
            }
          }

          @Override
          public void emit() {
            emit.accept(result(making));
          }

          @Override
          public void abandon() {
            if (making.cancel(false)) {
              record.close();
            }
          }
        });
    maker()
        .execute(
            () -> {
              making.run();
              made.run();
            });
  }

  private synchronized ExecutorService maker() {
    if (maker == null) {
      ClassLoader loader = Thread.currentThread().getContextClassLoader();
      maker =
          Executors.newSingleThreadExecutor(
              task -> {
                Thread thread = new Thread(task, name);
                thread.setContextClassLoader(loader);
                thread.setDaemon(true);
                return thread;
              });
    }
    return maker;
  }

  private static <T> T result(FutureTask<T> making) {
    try {
      return making.get();
    } catch (ExecutionException e) {
      throw new IllegalStateException(
          "a record of this task could not be made beside training: " + e.getCause().getMessage(),
          e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while emitting results", e);
    }
  }

  /** Emits the results up to the first record that is not made yet; on the task thread. */
  void flush() {
    for (Entry next = entries.peek(); next != null && next.isReady(); next = entries.peek()) {
      entries.remove();
      next.emit();
    }
  }

  /** Waits until all records are made. */
  void await() throws InterruptedException {
    for (Entry entry : entries) {
      entry.await();
    }
  }

  /** Interrupts the record that is being made, waits for its end, and drops all others. */
  @Override
  public void close() {
    ExecutorService running;
    synchronized (this) {
      running = maker;
    }
    boolean interrupted = false;
    if (running != null) {
      running.shutdownNow();
      while (!running.isTerminated()) {
        try {
          boolean _ = running.awaitTermination(1, TimeUnit.MINUTES);
        } catch (InterruptedException e) {
          // Flink interrupts a cancelled task. Memory in use must still not be freed.
          interrupted = true;
        }
      }
    }
    entries.forEach(Entry::abandon);
    entries.clear();
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
