package io.millrace.model.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;

/** The pool computes every unit once, for any callers, and never exceeds its budget of threads. */
class WorkPoolTest {

  @Test
  void computesEveryUnitOnce() {
    for (int budget : new int[] {1, 2, 5}) {
      WorkPool pool = new WorkPool(budget);
      for (int units : new int[] {1, 2, 7, 1000}) {
        AtomicIntegerArray done = new AtomicIntegerArray(units);
        pool.run(
            units,
            (unit, worker) -> {
              assertTrue(worker >= 0 && worker < budget);
              done.incrementAndGet(unit);
            });
        for (int unit = 0; unit < units; unit++) {
          assertEquals(1, done.get(unit), "unit " + unit + " of " + units);
        }
      }
    }
  }

  @Test
  void unitsRunInParallel() throws InterruptedException {
    WorkPool pool = new WorkPool(2);
    CountDownLatch both = new CountDownLatch(2);
    pool.run(
        2,
        (unit, worker) -> {
          both.countDown();
          try {
            // Each unit waits for the other, so only two concurrent threads can finish.
            assertTrue(both.await(30, TimeUnit.SECONDS), "the units ran one after the other");
          } catch (InterruptedException e) {
            throw new IllegalStateException(e);
          }
        });
  }

  /** Callers on several task slots never run on more threads than the budget at once. */
  @Test
  void callersShareTheBudget() throws InterruptedException {
    int budget = 3;
    WorkPool pool = new WorkPool(budget);
    AtomicInteger workers = new AtomicInteger();
    AtomicInteger mostWorkers = new AtomicInteger();
    ConcurrentHashMap<Thread, Boolean> callers = new ConcurrentHashMap<>();
    AtomicInteger done = new AtomicInteger();
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      Thread caller =
          new Thread(
              () -> {
                callers.put(Thread.currentThread(), true);
                for (int round = 0; round < 200; round++) {
                  pool.run(
                      8,
                      (unit, worker) -> {
                        boolean helper = !callers.containsKey(Thread.currentThread());
                        if (helper) {
                          mostWorkers.accumulateAndGet(workers.incrementAndGet(), Math::max);
                        }
                        done.incrementAndGet();
                        if (helper) {
                          workers.decrementAndGet();
                        }
                      });
                }
              });
      threads.add(caller);
      caller.start();
    }
    for (Thread thread : threads) {
      thread.join();
    }
    assertEquals(4 * 200 * 8, done.get());
    assertTrue(mostWorkers.get() < budget, mostWorkers + " workers computed at once");
  }

  @Test
  void aFailureReachesTheCallerAndThePoolStaysUsable() {
    WorkPool pool = new WorkPool(2);
    for (int round = 0; round < 50; round++) {
      IllegalStateException e =
          assertThrows(
              IllegalStateException.class,
              () ->
                  pool.run(
                      9,
                      (unit, worker) -> {
                        if (unit == 5) {
                          throw new IllegalStateException("unit five");
                        }
                      }));
      assertEquals("unit five", e.getMessage());
      AtomicInteger done = new AtomicInteger();
      pool.run(9, (unit, worker) -> done.incrementAndGet());
      assertEquals(9, done.get());
    }
  }

  @Test
  void twoTasksRunSideBySide() {
    WorkPool pool = new WorkPool(2);
    CountDownLatch both = new CountDownLatch(2);
    AtomicIntegerArray slots = new AtomicIntegerArray(2);
    Runnable meet =
        () -> {
          slots.incrementAndGet(pool.slot());
          both.countDown();
          try {
            assertTrue(both.await(30, TimeUnit.SECONDS), "the tasks ran one after the other");
          } catch (InterruptedException e) {
            throw new IllegalStateException(e);
          }
        };
    pool.sideBySide(meet, meet);
    assertEquals(1, slots.get(0));
    assertEquals(1, slots.get(1));
  }

  /** Scratch memory belongs to a slot, so no two threads may have the same slot. */
  @Test
  void tasksSideBySideUseThePool() {
    for (int budget : new int[] {1, 2, 3}) {
      WorkPool pool = new WorkPool(budget);
      AtomicIntegerArray busy = new AtomicIntegerArray(budget);
      AtomicInteger done = new AtomicInteger();
      Runnable task =
          () -> {
            for (int round = 0; round < 500; round++) {
              pool.run(
                  4,
                  (unit, worker) -> {
                    assertEquals(1, busy.incrementAndGet(worker), "slot " + worker);
                    done.incrementAndGet();
                    busy.decrementAndGet(worker);
                  });
            }
          };
      for (int round = 0; round < 20; round++) {
        pool.sideBySide(task, task);
        // With a short task, the other task gets its thread for the rest.
        pool.sideBySide(task, () -> {});
        pool.sideBySide(() -> {}, task);
      }
      assertEquals(20 * 4 * 500 * 4, done.get());
    }
  }

  @Test
  void aFailureOfEitherTaskReachesTheCaller() {
    WorkPool pool = new WorkPool(2);
    Runnable fails =
        () -> {
          throw new IllegalStateException("task");
        };
    for (int round = 0; round < 50; round++) {
      assertThrows(IllegalStateException.class, () -> pool.sideBySide(fails, () -> {}));
      assertThrows(IllegalStateException.class, () -> pool.sideBySide(() -> {}, fails));
      AtomicInteger done = new AtomicInteger();
      pool.sideBySide(done::incrementAndGet, done::incrementAndGet);
      assertEquals(2, done.get());
    }
  }

  @Test
  void refusesABudgetOfZero() {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> new WorkPool(0));
    assertTrue(e.getMessage().contains(WorkPool.THREADS + " must be at least 1, not 0"));
  }
}
