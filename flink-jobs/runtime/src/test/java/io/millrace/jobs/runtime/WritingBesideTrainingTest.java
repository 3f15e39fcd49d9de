package io.millrace.jobs.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.schemas.state.CopyBudget;
import io.millrace.schemas.state.LargeValue;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What is written while training goes on; the deadline is for a thread that hangs. */
@Timeout(60)
@SuppressWarnings("try") // Flink's harness may throw InterruptedException from close().
class WritingBesideTrainingTest {

  /** What happens outside the operator: it lives in this JVM as well. */
  private static final class World {
    /** One for each record that training may learn from. */
    private final Semaphore permits = new Semaphore(0);

    private final CountDownLatch making = new CountDownLatch(1);
    private final CountDownLatch mayMake = new CountDownLatch(1);
    private final List<String> events = Collections.synchronizedList(new ArrayList<>());
    private final CopyBudget budget;
    private IOException failure;

    World(long budget) {
      this.budget = new CopyBudget(budget);
    }
  }

  /**
   * Sums records, as a model learns from them. An odd record is emitted late, an even one at once.
   */
  private static final class SummingOperator extends TrainingOperator<Long, Long> {
    private static final long serialVersionUID = 1;

    private final transient World world;
    private final transient AtomicLong sum = new AtomicLong();

    SummingOperator(World world) {
      this.world = world;
    }

    @Override
    protected int capacity() {
      return 100;
    }

    @Override
    protected long version() {
      return 0;
    }

    @Override
    protected CopyBudget copies() {
      return world.budget;
    }

    @Override
    protected boolean work() {
      if (!world.permits.tryAcquire()) {
        return false;
      }
      Long next = poll();
      if (next == null) {
        world.permits.release();
        return false;
      }
      sum.addAndGet(next);
      if (next % 2 == 0) {
        emitLater(next);
      } else {
        emitLater(late(next));
      }
      release(1);
      return true;
    }

    private LateRecord<Long> late(long record) {
      return new LateRecord<>() {
        @Override
        public Long make() throws Exception {
          world.making.countDown();
          world.mayMake.await();
          if (world.failure != null) {
            throw world.failure;
          }
          return record;
        }

        @Override
        public void close() {
          world.events.add("freed " + record);
        }
      };
    }

    /** Lets training go on for one record, and waits for it. */
    private void learnOne() {
      long before = sum.get();
      world.permits.release();
      wake();
      while (sum.get() == before) {
        Thread.onSpinWait();
      }
    }

    @Override
    protected void finishInput() {}

    private record State(List<Long> inbox) {}

    @Override
    public void writeState(StateWriter out) throws IOException {
      out.write(new State(inbox()));
      out.write(new Sum());
      out.write(new State(List.of()));
    }

    private final class Sum implements LargeValue {
      @Override
      public void write(DataOutputStream out) throws IOException {
        out.writeLong(sum.get());
      }

      @Override
      public Optional<Copy> copy(CopyBudget budget) {
        if (!budget.take(Long.BYTES)) {
          return Optional.empty();
        }
        long copied = sum.get();
        return Optional.of(
            new Copy() {
              @Override
              public void write(DataOutputStream out) throws IOException {
                learnOne(); // hangs if training waits for the snapshot
                out.writeLong(copied);
              }

              @Override
              public void close() {
                budget.give(Long.BYTES);
              }
            });
      }
    }

    @Override
    public void readState(StateReader in) throws IOException {
      State state = in.read(State.class);
      sum.set(in.raw().readLong());
      assertEquals(List.of(), in.read(State.class).inbox());
      restoreInbox(state.inbox(), 0);
    }

    @Override
    public void closeModels() {
      world.events.add("models closed");
    }
  }

  private static OneInputStreamOperatorTestHarness<Long, Long> harness(SummingOperator operator)
      throws Exception {
    OneInputStreamOperatorTestHarness<Long, Long> harness =
        new OneInputStreamOperatorTestHarness<>(operator, 1, 1, 0);
    harness.setup();
    return harness;
  }

  private static OneInputStreamOperatorTestHarness<Long, Long> opened(
      SummingOperator operator, long... records) throws Exception {
    OneInputStreamOperatorTestHarness<Long, Long> harness = harness(operator);
    harness.open();
    for (long record : records) {
      harness.processElement(record, 0);
    }
    return harness;
  }

  @Test
  void trainingGoesOnWhileTheStateOfTheBarrierIsWritten() throws Exception {
    World world = new World(Long.BYTES);
    SummingOperator operator = new SummingOperator(world);
    OperatorSubtaskState state;
    try (OneInputStreamOperatorTestHarness<Long, Long> harness = opened(operator, 2, 4, 6)) {
      operator.learnOne();
      harness.prepareSnapshotPreBarrier(1);
      state = harness.snapshot(1, 1);
      assertEquals(6, operator.sum.get(), "learned while the snapshot was written");
      assertEquals(0, world.budget.inUse());
      assertEquals(List.of(2L), harness.extractOutputValues(), "what is before the barrier");
    }
    World other = new World(0);
    SummingOperator restored = new SummingOperator(other);
    try (OneInputStreamOperatorTestHarness<Long, Long> harness = harness(restored)) {
      harness.initializeState(state);
      harness.open();
      assertEquals(2, restored.sum.get(), "of the barrier's moment");
      other.permits.release(2);
      restored.wake();
      harness.endInput();
      assertEquals(List.of(4L, 6L), harness.extractOutputValues());
      assertEquals(12, restored.sum.get());
    }
  }

  @Test
  void aBarrierWaitsForALateRecordAndTheOrderStays() throws Exception {
    World world = new World(0);
    SummingOperator operator = new SummingOperator(world);
    try (OneInputStreamOperatorTestHarness<Long, Long> harness = opened(operator, 1, 2, 4)) {
      operator.learnOne();
      operator.learnOne();
      operator.learnOne();
      world.making.await();
      operator.flush();
      assertEquals(List.of(), harness.extractOutputValues(), "all wait for the first");
      Thread task = Thread.currentThread();
      Thread writer =
          new Thread(
              () -> {
                while (task.getState() != Thread.State.WAITING) {
                  Thread.onSpinWait();
                }
                world.mayMake.countDown();
              });
      writer.start();
      harness.prepareSnapshotPreBarrier(1);
      assertEquals(List.of(1L, 2L, 4L), harness.extractOutputValues(), "before the barrier");
      harness.snapshot(1, 1);
      writer.join();
      assertEquals(List.of("freed 1"), world.events);
    }
  }

  @Test
  void aRecordThatCannotBeMadeFailsTheTaskWithItsCause() throws Exception {
    World world = new World(0);
    world.failure = new IOException("no space left on device");
    world.mayMake.countDown();
    SummingOperator operator = new SummingOperator(world);
    try (OneInputStreamOperatorTestHarness<Long, Long> harness = opened(operator, 1)) {
      operator.learnOne();
      IllegalStateException failure =
          assertThrows(IllegalStateException.class, () -> harness.prepareSnapshotPreBarrier(1));
      assertEquals(world.failure, failure.getCause());
      assertTrue(failure.getMessage().contains("no space left on device"), failure.getMessage());
      assertEquals(List.of("freed 1"), world.events);
    }
  }

  @Test
  void aCancelledTaskEndsTheWriterBeforeItsModelsAreClosed() throws Exception {
    World world = new World(0);
    SummingOperator operator = new SummingOperator(world);
    OneInputStreamOperatorTestHarness<Long, Long> harness = opened(operator, 1, 3);
    operator.learnOne();
    operator.learnOne();
    world.making.await();
    harness.close();
    assertEquals(List.of("freed 1", "freed 3", "models closed"), world.events);
  }
}
