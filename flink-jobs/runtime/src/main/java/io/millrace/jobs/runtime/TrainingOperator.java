package io.millrace.jobs.runtime;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.flink.streaming.api.operators.BoundedOneInput;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.util.OutputTag;

/**
 * A learning operator that trains on one stream of records.
 *
 * <p>Records wait in a bounded inbox; when it is full the task takes no more of them, and Flink's
 * back-pressure does the rest; a barrier that comes meanwhile does not wait ({@link Inlet}). What
 * training emits waits in an outbox for the task's own thread. Before a barrier passes, training
 * pauses between two pieces of work and the outbox is emptied, so that state and output are of the
 * same moment; the state holds the inbox too. What is learned depends on the order of the records
 * only, never on which thread was faster.
 */
public abstract class TrainingOperator<IN, OUT> extends BackgroundOperator<OUT>
    implements OneInputStreamOperator<IN, OUT>, BoundedOneInput {

  private static final long serialVersionUID = 1;

  /** Emits something that was made while training. */
  private interface Emission {
    void run();
  }

  private transient Inlet inlet;
  private transient Queue<Emission> outbox;

  /** State, with what the subclass holds. */
  private transient Queue<IN> inbox;

  /** Records taken in and not yet learned from. */
  private transient AtomicInteger held;

  /** Records that may be held, but for one more with each barrier; the rest waits outside. */
  protected abstract int capacity();

  /**
   * The next piece of training: takes records by {@link #poll}, says by {@link #release} which it
   * has done with, and emits by {@link #emitLater}.
   */
  @Override
  protected abstract boolean advance() throws Exception;

  /** Says that all input is in the inbox: what is kept back for more is now due. */
  protected void inputEnds() {}

  /** What is left to do when all input has been learned from; the training thread stands still. */
  protected abstract void finishInput() throws Exception;

  protected abstract void writeTraining(DataOutputStream out) throws IOException;

  /**
   * Reads what {@link #writeTraining} wrote.
   *
   * @return how many records that are not yet learned from were in it
   */
  protected abstract int readTraining(DataInputStream in) throws IOException;

  protected abstract void writeRecord(DataOutputStream out, IN element) throws IOException;

  protected abstract IN readRecord(DataInputStream in) throws IOException;

  /** Opens queues and models; a subclass adds its own. */
  @Override
  public void openModels() throws Exception {
    inbox = new ConcurrentLinkedQueue<>();
    outbox = new ConcurrentLinkedQueue<>();
    held = new AtomicInteger();
  }

  @Override
  public void open() throws Exception {
    super.open();
    inlet = createInlet();
  }

  @Override
  protected final String activity() {
    return "training";
  }

  @Override
  public final void processElement(StreamRecord<IN> element) throws Exception {
    inlet.await(() -> held.get() < capacity());
    held.incrementAndGet();
    inbox.add(element.getValue());
    wake();
  }

  /** The next record, or null where there is none. */
  protected final IN poll() {
    return inbox.poll();
  }

  /** Says that records have been learned from, or will not be. */
  protected final void release(int records) {
    held.addAndGet(-records);
  }

  protected final void emitLater(OUT element) {
    outbox.add(() -> emit(element));
  }

  protected final <T> void emitLater(OutputTag<T> tag, T element) {
    outbox.add(() -> emit(tag, element));
  }

  /** Has the task's own thread do something, after what was emitted before. */
  protected final void inTaskThread(Runnable action) {
    outbox.add(action::run);
  }

  @Override
  protected final void flush() {
    for (Emission next = outbox.poll(); next != null; next = outbox.poll()) {
      next.run();
    }
  }

  @Override
  public final void endInput() throws Exception {
    inputEnds();
    wake();
    afterAllWork(this::finishInput);
  }

  @Override
  public final void writeState(DataOutputStream out) throws IOException {
    List<IN> waiting = new ArrayList<>(inbox);
    out.writeInt(waiting.size());
    for (IN element : waiting) {
      writeRecord(out, element);
    }
    writeTraining(out);
  }

  @Override
  public final void readState(DataInputStream in, int format) throws IOException {
    int waiting = in.readInt();
    for (int i = 0; i < waiting; i++) {
      inbox.add(readRecord(in));
    }
    held.set(waiting + readTraining(in));
  }
}
