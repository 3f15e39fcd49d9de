package io.millrace.jobs.operator;

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
 * An operator around a model that learns or samples.
 *
 * <p>Its state goes to Flink's raw operator state as one stream: a model of many megabytes is then
 * written and read piece by piece, with no second copy on the heap. The stream begins with a format
 * number, so that a later version can read what an earlier one wrote. What all subtasks were told
 * alike is beside it, as union state ({@link Following}).
 */
abstract class LearningOperator<OUT> extends AbstractStreamOperator<OUT> {

  private static final long serialVersionUID = 1;
  private static final int BUFFER = 1 << 16;

  private transient boolean timerSet;
  private transient FigureGauges gauges;

  /** Of one that is {@link Following}: an entry of each subtask. */
  private transient ListState<byte[]> announced;

  /** Opens models and buffers; called once per attempt, before any state is restored. */
  protected abstract void openModels() throws Exception;

  protected abstract void writeState(DataOutputStream out) throws IOException;

  /**
   * Adds what {@link #writeState} wrote; after a change of parallelism it may come in several.
   *
   * @param format that it was written in, at most {@link #stateFormat}
   */
  protected abstract void readState(DataInputStream in, int format) throws IOException;

  /** The format that {@link #writeState} writes. */
  protected int stateFormat() {
    return 1;
  }

  /** Ends what runs beside the mailbox, before the models are closed. */
  protected void stop() {}

  /** Frees native memory; may be called when {@link #openModels} failed half-way. */
  protected abstract void closeModels();

  @Override
  public final void initializeState(StateInitializationContext context) throws Exception {
    super.initializeState(context);
    gauges = new FigureGauges(getMetricGroup());
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
  public void snapshotState(StateSnapshotContext context) throws Exception {
    super.snapshotState(context);
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
    stop();
    closeModels();
    super.close();
  }

  /** A mailbox of this operator, whose mails the task's own thread runs. */
  protected final MailboxExecutor createMailbox() {
    return getContainingTask()
        .getMailboxExecutorFactory()
        .createExecutor(getOperatorConfig().getChainIndex());
  }

  /** What a timer does, in the task's own thread. */
  protected interface Timed {
    void run() throws Exception;
  }

  /** Runs something in a while; nothing is set while an earlier timer is still to come. */
  protected final void after(Duration delay, Timed timed) {
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
                  timed.run();
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
