package io.millrace.jobs.runtime;

import io.millrace.connectors.kafka.KafkaSettings;
import io.millrace.model.training.DivergedException;
import io.millrace.schemas.Provenance;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import io.millrace.schemas.Withdrawal;
import io.millrace.schemas.state.CopyBudget;
import io.millrace.schemas.state.StateReader;
import io.millrace.schemas.state.StateSnapshot;
import io.millrace.schemas.state.StateWriter;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledFuture;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;
import java.util.function.Predicate;
import org.apache.flink.api.common.operators.MailboxExecutor;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeutils.base.array.BytePrimitiveArraySerializer;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.apache.flink.runtime.state.OperatorStateCheckpointOutputStream;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.StatePartitionStreamProvider;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.util.OutputTag;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An operator that does its work on a {@link BackgroundThread} beside Flink's mailbox: training,
 * sampling, scoring or evaluation. The task thread meanwhile takes records, answers barriers, and
 * emits the results.
 *
 * <p>The state goes to Flink's raw operator state as one stream of Avro records and tensors ({@link
 * StateWriter}). A model of many megabytes is written and read piece by piece, without a second
 * copy on the heap. As far as {@link #copies} allows, the work goes on while tensors are written:
 * from copies on their device, made while the thread stood still. {@link SharedState} goes to union
 * state.
 *
 * @param <OUT> records of the main output
 */
public abstract class BackgroundOperator<OUT> extends AbstractStreamOperator<OUT> {

  private static final long serialVersionUID = 1;
  private static final int BUFFER_BYTES = 1 << 16;
  private static final Logger LOG = LoggerFactory.getLogger(BackgroundOperator.class);

  /** Where withdrawals are read; null for none. */
  private KafkaSettings withdrawalTopic;

  private transient Withdrawals withdrawals;
  private transient MailboxExecutor mailbox;
  private transient BackgroundThread thread;
  private transient boolean timerSet;
  private transient boolean copiesLogged;
  private transient MetricGauges gauges;
  private transient SharedState sharedState;

  /** One entry per subtask. */
  private transient ListState<byte[]> sharedEntries;

  /** Opens models and buffers. Called once per attempt, before any state is restored. */
  public abstract void openModels() throws Exception;

  public abstract void writeState(StateWriter out) throws IOException;

  /**
   * Adds the state that one subtask wrote with {@link #writeState}. After a change of parallelism
   * it is called for several subtasks, or for none.
   */
  public abstract void readState(StateReader in) throws IOException;

  /** State that every subtask gets whole; by default there is none. */
  protected SharedState sharedState() {
    return SharedState.NONE;
  }

  /**
   * The topic of the records that the operator keeps, from which withdrawn ones are removed. Empty
   * for an operator that keeps no records of people.
   */
  protected Optional<Topic<?>> records() {
    return Optional.empty();
  }

  /**
   * Removes what is withdrawn from everything that waits or is kept, on the task thread, while the
   * background thread stands still.
   *
   * @return how many records were removed
   */
  protected int removeWithdrawn(Predicate<Provenance> withdrawn) throws Exception {
    return 0;
  }

  /**
   * Forgets what is known of a person beside the records. Called once for a withdrawal, also across
   * restarts, so that a person who came back is not forgotten again.
   */
  protected void forget(Withdrawal withdrawal) {}

  /**
   * Whether a piece of work that cannot be undone still uses what is withdrawn. The withdrawal
   * counts as applied when it has ended.
   */
  protected boolean usesWithdrawn(Predicate<Provenance> withdrawn) {
    return false;
  }

  /** What the thread does, for its name: "training". */
  protected abstract String activity();

  /**
   * Does the next piece of work, on the background thread.
   *
   * @return false if there was nothing to do
   */
  protected abstract boolean work() throws Exception;

  /** Emits finished results, on the task thread. Called after each piece of work. */
  protected abstract void flush();

  /** Waits for results that other threads still make. Called while the thread stands still. */
  protected void awaitResults() throws InterruptedException {}

  /** Ends the threads of {@link #awaitResults}. Called before {@link #closeModels}. */
  protected void closeResults() {}

  /**
   * Memory for copies of large values, which let the thread go on while a snapshot is written.
   * Every call returns the same.
   */
  protected CopyBudget copies() {
    return new CopyBudget(0);
  }

  /**
   * Whether the state includes objects that the background thread changes. If so, the thread stands
   * still from before a barrier until the state is taken, and results are emitted before the
   * barrier as far as the output takes them.
   */
  protected boolean pausesForSnapshots() {
    return true;
  }

  /** The group of the gauges of training metrics. A subclass adds labels. */
  protected MetricGroup trainingMetricGroup() {
    return getMetricGroup();
  }

  /** Registers a gauge with the labels of the training metrics, in place of the metric's value. */
  protected final void registerGauge(String name, LongSupplier value) {
    gauges.register(name, value);
  }

  /** Frees native memory. May be called after {@link #openModels} failed half-way. */
  public abstract void closeModels();

  @Override
  public final void initializeState(StateInitializationContext context) throws Exception {
    super.initializeState(context);
    gauges = new MetricGauges(trainingMetricGroup());
    openModels();
    for (StatePartitionStreamProvider partition : context.getRawOperatorStateInputs()) {
      readState(
          new StateReader(
              new DataInputStream(new BufferedInputStream(partition.getStream(), BUFFER_BYTES))));
    }
    sharedState = sharedState();
    sharedEntries =
        context
            .getOperatorStateStore()
            .getUnionListState(
                new ListStateDescriptor<>("shared", BytePrimitiveArraySerializer.INSTANCE));
    for (byte[] entry : sharedEntries.get()) {
      sharedState.read(StateReader.of(entry));
    }
    if (records().isPresent()) {
      withdrawals =
          new Withdrawals(
              this,
              records().get(),
              withdrawalTopic,
              getRuntimeContext(),
              context.getOperatorStateStore());
      withdrawals.begin();
    }
  }

  /** Reads the topic {@code withdrawals}: all of it at each start, and then what comes. */
  public final void readWithdrawals(KafkaSettings kafka) {
    withdrawalTopic = kafka;
  }

  /** Whether the operator reads withdrawals, see {@link #readWithdrawals}. */
  public final boolean readsWithdrawals() {
    return withdrawalTopic != null;
  }

  /** Takes withdrawals, on the task thread. It does not matter whether they are known. */
  public final void withdraw(List<Withdrawal> arrived) throws Exception {
    withdrawals.apply(arrived);
  }

  private void afterPiece() throws Exception {
    flush();
    if (withdrawals != null) {
      withdrawals.settle();
    }
  }

  /** Whether a record is withdrawn; on the task thread. */
  protected final boolean isWithdrawn(Provenance record) {
    return withdrawals != null && withdrawals.contains(record);
  }

  /** Whether a record is withdrawn and to be dropped; it is counted then. On the task thread. */
  protected final boolean dropsWithdrawn(Provenance record) {
    boolean withdrawn = isWithdrawn(record);
    if (withdrawn) {
      withdrawals.count(1);
    }
    return withdrawn;
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
            () -> forGood(this::work),
            mailbox,
            this::afterPiece);
    if (withdrawals != null) {
      withdrawals.follow(thread, mailbox);
    }
  }

  @Override
  public final void prepareSnapshotPreBarrier(long checkpointId) throws Exception {
    super.prepareSnapshotPreBarrier(checkpointId);
    if (pausesForSnapshots()) {
      thread.pause();
      awaitResults();
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
    byte[] entry = StateWriter.toBytes(sharedState::write);
    sharedEntries.update(entry.length == 0 ? List.of() : List.of(entry));
    if (withdrawals != null) {
      withdrawals.snapshot();
    }

    OperatorStateCheckpointOutputStream stream = context.getRawOperatorStateOutput();
    stream.startNewPartition();
    DataOutputStream out = new DataOutputStream(new BufferedOutputStream(stream, BUFFER_BYTES));
    try (StateSnapshot snapshot = StateSnapshot.take(out, this::writeState, copies())) {
      if (snapshot.copied() < snapshot.values() && !copiesLogged) {
        copiesLogged = true;
        LOG.info(
            "{} of {} tensors of the state are copied and written while {} goes on; the others are"
                + " written first: compute.copy-memory-mib or the device has no memory for them",
            snapshot.copied(),
            snapshot.values(),
            activity());
      }
      // The state is taken: what changes from here on belongs to the next Flink checkpoint.
      thread.resume();
      snapshot.finish();
    }
    out.flush();
  }

  @Override
  public final void close() throws Exception {
    if (withdrawals != null) {
      withdrawals.close();
    }
    if (thread != null) {
      thread.close();
    }
    closeResults();
    copies().close();
    closeModels();
    super.close();
  }

  /** Lets records wait until the operator has room for them. */
  protected final Inlet createInlet() {
    return new Inlet(getContainingTask().getEnvironment().getAllInputGates(), mailbox);
  }

  /** Lets the operator stop the source that reads a topic. */
  protected final SourceHold createHold(Topic<?> topic) {
    return new SourceHold(
        getContainingTask().getEnvironment().getOperatorCoordinatorEventGateway(), topic);
  }

  /** Says whether a record can be emitted without waiting. */
  protected final Outlet createOutlet() {
    return new Outlet(getContainingTask().getEnvironment().getAllWriters(), mailbox, this::flush);
  }

  /** Emits finished results soon. Any thread may call this. */
  protected final void flushSoon() {
    try {
      mailbox.execute(this::flush, "a result is ready");
    } catch (RejectedExecutionException e) {
      // The task is gone already.
    }
  }

  /** Makes the thread look for work again. */
  protected final void wake() {
    thread.wake();
  }

  /** Runs the operator's mails, which emit results, until a condition holds; on the task thread. */
  protected final void flushUntil(BooleanSupplier condition) throws InterruptedException {
    while (!condition.getAsBoolean()) {
      mailbox.yield();
    }
  }

  /** Waits until the thread has no work left, then runs an action while the thread stands still. */
  protected final void afterAllWork(Action action) throws Exception {
    flushUntil(thread::isIdle);
    thread.pause();
    try {
      forGood(
          () -> {
            action.run();
            return null;
          });
      awaitResults();
      flush();
    } finally {
      thread.resume();
    }
  }

  /** A diverged training fails for good: a restart from the last Flink checkpoint repeats it. */
  private static <T> T forGood(Callable<T> work) throws Exception {
    try {
      return work.call();
    } catch (DivergedException e) {
      throw new SuppressRestartsException(e);
    }
  }

  /** An action on the task thread. */
  protected interface Action {
    void run() throws Exception;
  }

  /** Runs an action after a delay. A call has no effect while an earlier timer is set. */
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

  /** Emits to a side output. */
  protected final <T> void emit(OutputTag<T> tag, T record) {
    output.collect(tag, new StreamRecord<>(record));
  }

  /** Emits training metrics, which become Flink metrics of this operator too. */
  protected final void emitMetrics(TrainingMetrics metrics) {
    gauges.update(metrics.getMetrics());
    emit(Outputs.METRICS, metrics);
  }

  /** How often Flink restarted the job before this attempt. */
  protected final double restarts() {
    return getRuntimeContext().getTaskInfo().getAttemptNumber();
  }
}
