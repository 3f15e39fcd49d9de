package io.millrace.model.cpu;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

/**
 * The threads of the process for kernels. A kernel splits its work into units. The calling thread
 * and the workers of the pool take one unit after another. There is one pool in a process, so
 * several Flink task slots never run more threads than its budget. If other callers use the workers
 * or the cores, a caller computes all its units on its own thread.
 *
 * <p>The thread that computes a unit has no influence on the result. A result depends on the split
 * into units, which depends only on the shapes and the budget.
 */
final class WorkPool {

  /** System property with the number of threads; all cores unless it is set. */
  static final String THREADS = "millrace.threads";

  /**
   * How often a worker looks for work before it sleeps. It spins for some 50 µs, longer than the
   * gap between two kernels.
   */
  private static final int SPINS = 5_000;

  private static volatile int defaultBudget = Runtime.getRuntime().availableProcessors();

  /** The process-wide pool, created on first use. */
  private static final class Shared {
    static final WorkPool POOL = new WorkPool(Integer.getInteger(THREADS, defaultBudget));
  }

  /** Computes a unit of work. */
  interface Task {
    /**
     * Computes a unit.
     *
     * @param unit index of the unit
     * @param worker index of the thread, from 0; the thread has the scratch memory of this index
     *     meanwhile
     */
    void run(int unit, int worker);
  }

  private static final class Job {
    final Task task;
    final int units;
    final AtomicInteger next = new AtomicInteger();
    final AtomicInteger done = new AtomicInteger();
    volatile Throwable failure;

    Job(Task task, int units) {
      this.task = task;
      this.units = units;
    }

    void work(int worker) {
      for (int unit = next.getAndIncrement(); unit < units; unit = next.getAndIncrement()) {
        try {
          task.run(unit, worker);
        } catch (Throwable e) {
          failure = e;
        }
        done.incrementAndGet();
      }
    }

    void rethrow() {
      if (failure instanceof Error error) {
        throw error;
      }
      if (failure != null) {
        throw (RuntimeException) failure;
      }
    }
  }

  /** A thread of the pool. */
  private final class Worker extends Thread {
    final int index;

    Worker(int index) {
      super("millrace-compute-" + (index + 1));
      this.index = index;
      setDaemon(true);
    }

    WorkPool pool() {
      return WorkPool.this;
    }

    @Override
    public void run() {
      serve(index);
    }
  }

  private final int budget;
  private final Worker[] workers;
  private final AtomicBoolean[] asleep;
  private final AtomicBoolean taken = new AtomicBoolean();
  private final AtomicInteger callers = new AtomicInteger();
  private volatile Job job;

  WorkPool(int budget) {
    if (budget < 1) {
      throw new IllegalArgumentException(THREADS + " must be at least 1, not " + budget);
    }
    this.budget = budget;
    this.workers = new Worker[budget - 1];
    this.asleep = new AtomicBoolean[budget - 1];
    for (int i = 0; i < workers.length; i++) {
      asleep[i] = new AtomicBoolean();
      workers[i] = new Worker(i);
      workers[i].start();
    }
  }

  /**
   * Sets the budget of the process-wide pool, if the system property is not set. It has no effect
   * after the pool was created.
   */
  static void useThreads(int threads) {
    defaultBudget = threads;
  }

  static WorkPool shared() {
    return Shared.POOL;
  }

  /** Number of threads that compute at once, the caller included. */
  int budget() {
    return budget;
  }

  /**
   * Index of the calling thread among the threads of the budget: 0 unless it is a worker of this
   * pool.
   */
  int slot() {
    return Thread.currentThread() instanceof Worker worker && worker.pool() == this
        ? worker.index + 1
        : 0;
  }

  /** Computes all units, and returns when they are done. An exception of a unit is thrown here. */
  void run(int units, Task task) {
    if (units == 1) {
      task.run(0, slot());
      return;
    }
    boolean alone = callers.incrementAndGet() < budget;
    try {
      if (alone && taken.compareAndSet(false, true)) {
        try {
          share(new Job(task, units));
        } finally {
          taken.set(false);
        }
      } else {
        for (int unit = 0; unit < units; unit++) {
          task.run(unit, slot());
        }
      }
    } finally {
      callers.decrementAndGet();
    }
  }

  /**
   * Runs both tasks, on two threads if the budget is two and both threads are free. Each task then
   * stays in the caches of its own core, and no thread waits at the end of every kernel. While both
   * tasks run, each computes its own units. When one has finished, the other can use its thread.
   */
  void sideBySide(Runnable longer, Runnable other) {
    if (budget != 2 || callers.get() > 0 || !taken.compareAndSet(false, true)) {
      longer.run();
      other.run();
      return;
    }
    Job job =
        new Job(
            (unit, worker) -> {
              try {
                other.run();
              } finally {
                taken.set(false);
              }
            },
            1);
    offer(job);
    try {
      longer.run();
    } finally {
      job.work(slot());
      await(job);
    }
    job.rethrow();
  }

  private void share(Job shared) {
    offer(shared);
    shared.work(slot());
    await(shared);
    shared.rethrow();
  }

  private void offer(Job offered) {
    job = offered;
    for (int i = 0; i < workers.length; i++) {
      if (asleep[i].get()) {
        LockSupport.unpark(workers[i]);
      }
    }
  }

  private void await(Job shared) {
    for (int spins = 0; shared.done.get() < shared.units; spins++) {
      if (spins < SPINS) {
        Thread.onSpinWait();
      } else {
        // The worker with the last unit may not be on a core: leave this core to it.
        LockSupport.parkNanos(this, 20_000);
      }
    }
  }

  private void serve(int index) {
    Job last = null;
    while (true) {
      Job next = job;
      for (int spins = 0; next == last && spins < SPINS; spins++) {
        Thread.onSpinWait();
        next = job;
      }
      if (next == last) {
        asleep[index].set(true);
        // Look again: work that was offered before the flag was set did not wake this worker.
        while (job == last) {
          LockSupport.park(this);
        }
        asleep[index].set(false);
      } else {
        last = next;
        next.work(index + 1);
      }
    }
  }
}
