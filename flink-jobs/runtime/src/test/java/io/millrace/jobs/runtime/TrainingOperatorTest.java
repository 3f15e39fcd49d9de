package io.millrace.jobs.runtime;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateWriter;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.stream.LongStream;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Flink checkpoints beside updates that take long; the deadline is for a thread that hangs. */
@Timeout(60)
@SuppressWarnings("try") // Flink's harness may throw InterruptedException from close().
class TrainingOperatorTest {

  private static final int UPDATES = 5;

  /** What happens outside the operator: it lives in this JVM as well. */
  private static final class Gate {
    private final CountDownLatch begun = new CountDownLatch(1);
    private final CountDownLatch end = new CountDownLatch(1);
  }

  /** Updates several times for each record, and emits it after the last; the first takes long. */
  private static final class SlowOperator extends TrainingOperator<Long, Long> {
    private static final long serialVersionUID = 1;

    private final transient Gate gate;
    private transient long record;
    private transient int updates;
    private transient int updatesHere;

    SlowOperator(Gate gate) {
      this.gate = gate;
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
    protected boolean work() throws InterruptedException {
      if (updates == 0) {
        Long next = poll();
        if (next == null) {
          return false;
        }
        record = next;
      }
      if (gate != null && updatesHere == 0) {
        gate.begun.countDown();
        gate.end.await();
      }
      updatesHere++;
      updates++;
      if (updates == UPDATES) {
        updates = 0;
        emitLater(record);
        release(1);
      }
      return true;
    }

    @Override
    protected void finishInput() {}

    private record State(List<Long> inbox, long record, int updates) {}

    @Override
    public void writeState(StateWriter out) throws IOException {
      out.write(new State(inbox(), record, updates));
    }

    @Override
    public void readState(StateReader in) throws IOException {
      State state = in.read(State.class);
      record = state.record();
      updates = state.updates();
      restoreInbox(state.inbox(), updates > 0 ? 1 : 0);
    }

    @Override
    public void closeModels() {}
  }

  private static OneInputStreamOperatorTestHarness<Long, Long> harness(SlowOperator operator)
      throws Exception {
    OneInputStreamOperatorTestHarness<Long, Long> harness =
        new OneInputStreamOperatorTestHarness<>(operator, 1, 1, 0);
    harness.setup();
    return harness;
  }

  @Test
  void aFlinkCheckpointWaitsForTheUpdateThatRunsAndForNoOther() throws Exception {
    List<Long> records = LongStream.range(0, 20).boxed().toList();
    Gate gate = new Gate();
    SlowOperator slow = new SlowOperator(gate);
    OperatorSubtaskState state;
    try (OneInputStreamOperatorTestHarness<Long, Long> harness = harness(slow)) {
      harness.open();
      for (long record : records.subList(0, 10)) {
        harness.processElement(record, 0);
      }
      gate.begun.await();
      // The task goes on taking records while the update runs.
      for (long record : records.subList(10, 20)) {
        harness.processElement(record, 0);
      }
      // The update ends only when the Flink checkpoint already waits for it.
      Thread task = Thread.currentThread();
      Thread update =
          new Thread(
              () -> {
                while (task.getState() != Thread.State.WAITING) {
                  Thread.onSpinWait();
                }
                gate.end.countDown();
              });
      update.start();
      harness.prepareSnapshotPreBarrier(1);
      assertEquals(1, slow.updatesHere, "updates before the barrier");
      state = harness.snapshot(1, 1);
      update.join();
      assertEquals(List.of(), harness.extractOutputValues(), "before the barrier");
    }
    try (OneInputStreamOperatorTestHarness<Long, Long> harness = harness(new SlowOperator(null))) {
      harness.initializeState(state);
      harness.open();
      harness.endInput();
      assertEquals(records, harness.extractOutputValues());
    }
  }
}
