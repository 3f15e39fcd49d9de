package io.millrace.model.tensor.cpu;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

/**
 * The process's share of the cores: kernels split their work into units, which the calling thread
 * and the pool's workers take one after another. There is one pool a process, so that several Flink
 * task slots never run more threads than its budget: a caller that finds the workers taken, or the
 * cores busy with other callers, does all units itself.
 *
 * <p>Who does a unit never decides what the unit computes; results depend on how work is split, and
 * that on shapes and the budget alone.
 */
final class WorkPool {

  /** A system property: how many threads compute at once; all cores unless set. */
  static final String THREADS = "millrace.threads";

  /**
   * A worker looks for work this often before it sleeps: some 50 µs, longer than a kernel's gap.
   */
  private static final int SPINS = 5_000;

  private static volatile int wanted = Runtime.getRuntime().availableProcessors();

  /** Made when it is first asked for. */
  private static final class Shared {
    static final WorkPool POOL = new WorkPool(Integer.getInteger(THREADS, wanted));
  }

  /** Does one unit of work. */
  interface Task {
    /**
     * Does a unit.
     *
     * @param worker which of the budget's threads does it, from 0: owns scratch memory meanwhile
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
  }

  private final int budget;
  private final Thread[] workers;
  private final AtomicBoolean[] asleep;
  private final AtomicBoolean taken = new AtomicBoolean();
  private final AtomicInteger callers = new AtomicInteger();
  private volatile Job job;

  WorkPool(int budget) {
    if (budget < 1) {
      throw new IllegalArgumentException(THREADS + " must be at least 1, not " + budget);
    }
    this.budget = budget;
    this.workers = new Thread[budget - 1];
    this.asleep = new AtomicBoolean[budget - 1];
    for (int i = 0; i < workers.length; i++) {
      int index = i;
      asleep[i] = new AtomicBoolean();
      workers[i] = new Thread(() -> serve(index), "millrace-compute-" + (i + 1));
      workers[i].setDaemon(true);
      workers[i].start();
    }
  }

  /** The shared pool's budget where the property leaves it open; heard until the pool is made. */
  static void useThreads(int threads) {
    wanted = threads;
  }

  static WorkPool shared() {
    return Shared.POOL;
  }

  /** Threads that compute at once, the caller among them. */
  int budget() {
    return budget;
  }

  /** Does all units and returns when they are done. */
  void run(int units, Task task) {
    if (units == 1) {
      task.run(0, 0);
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
          task.run(unit, 0);
        }
      }
    } finally {
      callers.decrementAndGet();
    }
  }

  private void share(Job shared) {
    job = shared;
    for (int i = 0; i < workers.length; i++) {
      if (asleep[i].get()) {
        LockSupport.unpark(workers[i]);
      }
    }
    shared.work(0);
    for (int spins = 0; shared.done.get() < shared.units; spins++) {
      if (spins < SPINS) {
        Thread.onSpinWait();
      } else {
        // The worker that has the last unit is off its core: leave it this one.
        LockSupport.parkNanos(this, 20_000);
      }
    }
    Throwable failure = shared.failure;
    if (failure instanceof Error error) {
      throw error;
    }
    if (failure != null) {
      throw (RuntimeException) failure;
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
        // Looked at once more: work that came before the flag was set woke nobody.
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
