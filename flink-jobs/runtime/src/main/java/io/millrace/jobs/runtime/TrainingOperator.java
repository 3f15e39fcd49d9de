package io.millrace.jobs.runtime;

import io.millrace.schemas.Provenance;
import io.millrace.schemas.TrainingMetrics;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Predicate;
import org.apache.flink.streaming.api.operators.BoundedOneInput;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.util.OutputTag;

/**
 * An operator that trains on one stream of records.
 *
 * <p>Records wait in a bounded inbox. When it is full the task takes no more records, and Flink's
 * back-pressure slows the sources; a barrier does not wait for room ({@link Inlet}). Results of
 * training wait in an outbox for the task thread. Before a barrier passes, training pauses between
 * two pieces of work and the outbox is emptied: state and output belong to the same moment. The
 * inbox is part of the state. The result depends on the order of the records alone, never on the
 * speed of a thread.
 *
 * @param <IN> records to learn from
 * @param <OUT> records of the main output
 */
public abstract class TrainingOperator<IN, OUT> extends BackgroundOperator<OUT>
    implements OneInputStreamOperator<IN, OUT>, BoundedOneInput {

  private static final long serialVersionUID = 1;

  private transient Inlet inlet;
  private transient Outbox outbox;
  private transient Queue<IN> inbox;

  /** Records that were taken in and not yet learned from. */
  private transient AtomicInteger held;

  /** How many records may be held. Each barrier may add one more. */
  protected abstract int capacity();

  /**
   * The last version that this operator published. It is the gauge {@code version}, which another
   * thread reads.
   */
  protected abstract long version();

  /** Called when the inbox holds all remaining input: incomplete batches are due now. */
  protected void inputEnds() {}

  /** Whose a record is. */
  protected Provenance provenance(IN record) {
    return Provenance.UNKNOWN;
  }

  /** Finishes the run after all input was learned from; the training thread stands still. */
  protected abstract void finishInput() throws Exception;

  /** Opens the queues. A subclass opens its models as well. */
  @Override
  public void openModels() throws Exception {
    inbox = new ConcurrentLinkedQueue<>();
    outbox = new Outbox("records of " + activity(), this::flushSoon);
    held = new AtomicInteger();
  }

  @Override
  public void open() throws Exception {
    super.open();
    inlet = createInlet();
    registerGauge("version", this::version);
  }

  @Override
  protected final String activity() {
    return "training";
  }

  @Override
  public final void processElement(StreamRecord<IN> element) throws Exception {
    inlet.await(() -> held.get() < capacity());
    // A withdrawal may have come while the record waited.
    if (dropsWithdrawn(provenance(element.getValue()))) {
      return;
    }
    held.incrementAndGet();
    inbox.add(element.getValue());
    wake();
  }

  /** Takes the next record from the inbox, or null if it is empty. */
  protected final IN poll() {
    return inbox.poll();
  }

  /** Frees the room of records that were learned from or dropped. */
  protected final void release(int records) {
    held.addAndGet(-records);
  }

  /** Removes records from the inbox. A subclass removes what it keeps as well. */
  @Override
  protected int removeWithdrawn(Predicate<Provenance> withdrawn) throws Exception {
    int before = inbox.size();
    inbox.removeIf(record -> withdrawn.test(provenance(record)));
    int removed = before - inbox.size();
    release(removed);
    return removed;
  }

  /** The records in the inbox, for the state. */
  protected final List<IN> inbox() {
    return new ArrayList<>(inbox);
  }

  /**
   * Restores the inbox.
   *
   * @param taken records that were taken from the inbox and are not yet released
   */
  protected final void restoreInbox(Collection<IN> records, int taken) {
    inbox.addAll(records);
    held.addAndGet(records.size() + taken);
  }

  /** Emits a record later, on the task thread. */
  protected final void emitLater(OUT record) {
    outbox.add(() -> emit(record));
  }

  /**
   * Emits a record later that is made meanwhile, beside training. No barrier passes before it is
   * made: a Flink checkpoint covers a record with the state that it belongs to.
   */
  protected final void emitLater(LateRecord<OUT> record) {
    outbox.add(record, this::emit);
  }

  /** Emits to a side output later, on the task thread. */
  protected final <T> void emitLater(OutputTag<T> tag, T record) {
    outbox.add(() -> emit(tag, record));
  }

  /** Emits training metrics later, on the task thread. */
  protected final void emitMetricsLater(TrainingMetrics metrics) {
    outbox.add(() -> emitMetrics(metrics));
  }

  /** Runs an action on the task thread, after everything that was emitted before. */
  protected final void onTaskThread(Runnable action) {
    outbox.add(action);
  }

  @Override
  protected final void flush() {
    outbox.flush();
  }

  @Override
  protected final void awaitResults() throws InterruptedException {
    outbox.await();
  }

  @Override
  protected final void closeResults() {
    if (outbox != null) {
      outbox.close();
    }
  }

  @Override
  public final void endInput() throws Exception {
    inputEnds();
    wake();
    afterAllWork(this::finishInput);
  }
}
