package io.millrace.jobs.runtime;

import io.millrace.schemas.TrainingMetrics;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ScheduledFuture;
import java.util.function.BooleanSupplier;
import org.apache.flink.api.common.operators.MailboxExecutor;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeutils.base.array.BytePrimitiveArraySerializer;
import org.apache.flink.runtime.state.OperatorStateCheckpointOutputStream;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.StatePartitionStreamProvider;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.util.OutputTag;

/**
 * An operator around a model that learns or samples, on a {@link BackgroundThread} beside Flink's
 * mailbox: the task's own thread goes on taking records and answering barriers, and emits what the
 * thread has made.
 *
 * <p>Its state goes to Flink's raw operator state as one stream: a model of many megabytes is then
 * written and read piece by piece, with no second copy on the heap. The stream begins with a format
 * number, so that a later version can read what an earlier one wrote. What all subtasks were told
 * alike is beside it, as union state ({@link Following}).
 */
public abstract class BackgroundOperator<OUT> extends AbstractStreamOperator<OUT> {

  private static final long serialVersionUID = 1;
  private static final int BUFFER = 1 << 16;

  private transient MailboxExecutor mailbox;
  private transient BackgroundThread thread;
  private transient boolean timerSet;
  private transient MetricGauges gauges;

  /** Of one that is {@link Following}: an entry of each subtask. */
  private transient ListState<byte[]> announced;

  /** Opens models and buffers; called once per attempt, before any state is restored. */
  public abstract void openModels() throws Exception;

  public abstract void writeState(DataOutputStream out) throws IOException;

  /**
   * Adds what {@link #writeState} wrote; after a change of parallelism it may come in several.
   *
   * @param format that it was written in, at most {@link #stateFormat}
   */
  public abstract void readState(DataInputStream in, int format) throws IOException;

  /** The format that {@link #writeState} writes. */
  protected int stateFormat() {
    return 1;
  }

  /** What the thread does, for its name: "training". */
  protected abstract String activity();

  /**
   * The next piece of work, on the thread.
   *
   * @return false, having done nothing, where there is nothing to do
   */
  protected abstract boolean advance() throws Exception;

  /** Emits what the work has made, in the task's own thread; called after each piece of it. */
  protected abstract void flush();

  /**
   * Whether what the thread touches is state, so that it stands still between a barrier's coming
   * and its passing on, with everything emitted that it has made.
   */
  protected boolean pausesForSnapshots() {
    return true;
  }

  /** Frees native memory; may be called when {@link #openModels} failed half-way. */
  public abstract void closeModels();

  @Override
  public final void initializeState(StateInitializationContext context) throws Exception {
    super.initializeState(context);
    gauges = new MetricGauges(getMetricGroup());
    openModels();
    for (StatePartitionStreamProvider partition : context.getRawOperatorStateInputs()) {
      DataInputStream in =
          new DataInputStream(new BufferedInputStream(partition.getStream(), BUFFER));
      int format = in.readInt();
      if (format < 1 || format > stateFormat()) {
        throw new IOException(
            "state of %s has format %d, this version reads up to %d"
                .formatted(getClass().getSimpleName(), format, stateFormat()));
      }
      readState(in, format);
    }
    if (this instanceof Following following) {
      announced =
          context
              .getOperatorStateStore()
              .getUnionListState(
                  new ListStateDescriptor<>("announced", BytePrimitiveArraySerializer.INSTANCE));
      for (byte[] told : announced.get()) {
        following.readAnnounced(new DataInputStream(new ByteArrayInputStream(told)));
      }
    }
  }

  @Override
  public void open() throws Exception {
    super.open();
    mailbox =
        getContainingTask()
            .getMailboxExecutorFactory()
            .createExecutor(getOperatorConfig().getChainIndex());
    thread =
        new BackgroundThread(
            activity() + " of " + getRuntimeContext().getTaskInfo().getTaskNameWithSubtasks(),
            this::advance,
            mailbox,
            this::flush);
  }

  @Override
  public final void prepareSnapshotPreBarrier(long checkpointId) throws Exception {
    super.prepareSnapshotPreBarrier(checkpointId);
    if (pausesForSnapshots()) {
      thread.pause();
      flush();
    }
  }

  @Override
  public final void snapshotState(StateSnapshotContext context) throws Exception {
    try {
      super.snapshotState(context);
      writeSnapshot(context);
    } finally {
      thread.resume();
    }
  }

  private void writeSnapshot(StateSnapshotContext context) throws Exception {
    if (this instanceof Following following) {
      ByteArrayOutputStream told = new ByteArrayOutputStream();
      following.writeAnnounced(new DataOutputStream(told));
      announced.update(List.of(told.toByteArray()));
    }
    OperatorStateCheckpointOutputStream stream = context.getRawOperatorStateOutput();
    stream.startNewPartition();
    DataOutputStream out = new DataOutputStream(new BufferedOutputStream(stream, BUFFER));
    out.writeInt(stateFormat());
    writeState(out);
    out.flush();
  }

  @Override
  public final void close() throws Exception {
    if (thread != null) {
      thread.close();
    }
    closeModels();
    super.close();
  }

  /** Where records wait for room. */
  protected final Inlet createInlet() {
    return new Inlet(getContainingTask().getEnvironment().getAllInputGates(), mailbox);
  }

  /** What tells whether a record can be emitted without waiting. */
  protected final Outlet createOutlet() {
    return new Outlet(getContainingTask().getEnvironment().getAllWriters(), mailbox, this::flush);
  }

  /** Has the thread look for work again. */
  protected final void wake() {
    thread.wake();
  }

  /** Emits what is made, piece by piece, until a condition holds; in the task's own thread. */
  protected final void flushUntil(BooleanSupplier condition) throws InterruptedException {
    while (!condition.getAsBoolean()) {
      mailbox.yield();
    }
  }

  /** Lets the thread do all there is to do, then something else while it stands still. */
  protected final void afterAllWork(Action ending) throws Exception {
    flushUntil(thread::isIdle);
    thread.pause();
    try {
      ending.run();
      flush();
    } finally {
      thread.resume();
    }
  }

  /** What is done later, in the task's own thread. */
  protected interface Action {
    void run() throws Exception;
  }

  /** Runs something in a while; nothing is set while an earlier timer is still to come. */
  protected final void after(Duration delay, Action action) {
    if (timerSet) {
      return;
    }
    timerSet = true;
    long at = getProcessingTimeService().getCurrentProcessingTime() + delay.toMillis();
    ScheduledFuture<?> _ =
        getProcessingTimeService()
            .registerTimer(
                at,
                _ -> {
                  timerSet = false;
                  action.run();
                });
  }

  protected final void emit(OUT record) {
    output.collect(new StreamRecord<>(record));
  }

  /** Emits beside the main output; training metrics become Flink metrics too. */
  protected final <T> void emit(OutputTag<T> tag, T record) {
    if (record instanceof TrainingMetrics metrics) {
      gauges.update(metrics.getMetrics());
    }
    output.collect(tag, new StreamRecord<>(record));
  }
}
