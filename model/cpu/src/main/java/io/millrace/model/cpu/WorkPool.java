package io.millrace.model.cpu;

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

    void rethrow() {
      if (failure instanceof Error error) {
        throw error;
      }
      if (failure != null) {
        throw (RuntimeException) failure;
      }
    }
  }

  /** One of the pool's own threads. */
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

  /** Which of the budget's threads this is: 0 for those that are not the pool's own. */
  int slot() {
    return Thread.currentThread() instanceof Worker worker && worker.pool() == this
        ? worker.index + 1
        : 0;
  }

  /** Does all units and returns when they are done. */
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
   * Runs both tasks, on two threads where the budget is two and both are free: then each keeps to
   * its own core's caches, and nobody waits at the end of every kernel. What the tasks ask the pool
   * for meanwhile they do themselves, until the other is done and its thread free again.
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
        // The worker that has the last unit is off its core: leave it this one.
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
