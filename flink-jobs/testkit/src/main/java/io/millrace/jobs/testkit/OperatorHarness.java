package io.millrace.jobs.testkit;

import io.millrace.jobs.runtime.AppliedWithdrawals;
import io.millrace.jobs.runtime.BackgroundOperator;
import io.millrace.schemas.Withdrawal;
import io.millrace.schemas.WithdrawnBy;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.apache.avro.generic.GenericRecord;
import org.apache.flink.api.common.accumulators.Accumulator;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.runtime.tasks.mailbox.TaskMailbox;
import org.apache.flink.streaming.util.AbstractStreamOperatorTestHarness;
import org.apache.flink.util.function.SupplierWithException;

/**
 * Runs an operator in Flink's harness through any number of failures. Each attempt has a new
 * operator, restored from a Flink checkpoint.
 *
 * @param <IN> records of the (first) input
 * @param <OUT> records of the main output
 * @param <H> Flink's harness
 */
public abstract class OperatorHarness<IN, OUT, H extends AbstractStreamOperatorTestHarness<OUT>>
    implements AutoCloseable {

  /**
   * Settings of the smallest model that the jobs accept. {@code -Dmillrace.test.settings} adds
   * others, divided by commas: {@code compute.backend=torch} runs the tests on that backend.
   */
  public static final List<String> TINY_MODEL =
      Stream.concat(
              Stream.of(
                  "model.hidden-size=8",
                  "model.layers=1",
                  "model.heads=1",
                  "model.kv-heads=1",
                  "model.ffn-size=8",
                  "model.vocab-size=300",
                  "model.max-positions=64"),
              Arrays.stream(System.getProperty("millrace.test.settings", "").split(","))
                  .filter(setting -> !setting.isEmpty()))
          .toList();

  private static final Duration PATIENCE = Duration.ofSeconds(60);

  /** Flink's harness of the current attempt. */
  public H harness;

  private final SupplierWithException<H, Exception> attempts;
  private final List<OUT> committed = new ArrayList<>();
  private long snapshots;

  /**
   * @param attempts makes Flink's harness, with a new operator, for each attempt
   * @param state to start from; null for none
   */
  protected OperatorHarness(
      SupplierWithException<H, Exception> attempts, OperatorSubtaskState state) throws Exception {
    this.attempts = attempts;
    begin(state);
  }

  private void begin(OperatorSubtaskState state) throws Exception {
    harness = attempts.get();
    harness.setup();
    if (state != null) {
      harness.initializeState(state);
    }
    harness.open();
  }

  protected abstract void process(IN record) throws Exception;

  protected abstract void endInputs() throws Exception;

  /** Called with all that an attempt emitted, including what a failure discards. */
  protected void emitted(List<OUT> records) {}

  public OperatorHarness<IN, OUT, H> feed(List<IN> records) throws Exception {
    for (IN record : records) {
      process(record);
    }
    return this;
  }

  /** Takes a Flink checkpoint. It covers all records that were emitted up to its barrier. */
  public final OperatorSubtaskState snapshot() throws Exception {
    snapshots++;
    harness.prepareSnapshotPreBarrier(snapshots);
    collect();
    return harness.snapshot(snapshots, snapshots);
  }

  /** Takes a Flink checkpoint, feeds {@code lost}, fails, and resumes from the Flink checkpoint. */
  public final void dieAfter(List<IN> lost) throws Exception {
    dieAfter(snapshot(), lost);
  }

  /** Feeds {@code lost}, fails, and resumes from a Flink checkpoint. */
  public final void dieAfter(OperatorSubtaskState state, List<IN> lost) throws Exception {
    feed(lost);
    die(state);
  }

  /**
   * Fails and resumes from the last Flink checkpoint. Records that were emitted after it are
   * discarded, as Flink's sinks do.
   */
  public final void die(OperatorSubtaskState last) throws Exception {
    emitted(take());
    harness.close();
    begin(last);
  }

  /** Runs the task's mails until the operator has emitted a number of records in all. */
  public final void awaitEmitted(int records) throws Exception {
    while (output().size() < records) {
      harness.getTaskMailbox().take(TaskMailbox.MIN_PRIORITY).run();
    }
  }

  /** Withdraws records, as a withdrawal that comes now. */
  public final void withdraw(WithdrawnBy by, String name) throws Exception {
    Withdrawal withdrawal =
        Withdrawal.newBuilder()
            .setWithdrawalId(by + " " + name)
            .setBy(by)
            .setName(name)
            .setTime(Instant.EPOCH)
            .build();
    ((BackgroundOperator<OUT>) harness.getOperator()).withdraw(List.of(withdrawal));
  }

  /** The first record of the state of a Flink checkpoint that is taken now. */
  public final GenericRecord state() throws Exception {
    return OperatorStates.firstRecord(OperatorStates.bytes(snapshot()));
  }

  /** The raw state of a Flink checkpoint that is taken now, one character a byte. */
  public final String stateText() throws Exception {
    return new String(OperatorStates.bytes(snapshot()), StandardCharsets.ISO_8859_1);
  }

  /** Takes Flink checkpoints until one has a state. */
  public final GenericRecord awaitState(Predicate<GenericRecord> condition) throws Exception {
    long deadline = System.nanoTime() + PATIENCE.toNanos();
    while (true) {
      GenericRecord state = state();
      if (condition.test(state)) {
        return state;
      }
      if (System.nanoTime() > deadline) {
        throw new AssertionError("no such state after %s: %s".formatted(PATIENCE, state));
      }
      Thread.onSpinWait();
    }
  }

  /** Runs the task's mails until as many withdrawals are applied. */
  public final void awaitWithdrawals(long applied) throws Exception {
    while ((long) accumulator(AppliedWithdrawals.NAME) < applied) {
      harness.getTaskMailbox().take(TaskMailbox.MIN_PRIORITY).run();
    }
  }

  /** The value of an accumulator; null if the operator has none of that name. */
  public final Object accumulator(String name) {
    Accumulator<?, ?> accumulator =
        harness.getEnvironment().getAccumulatorRegistry().getUserMap().get(name);
    return accumulator == null ? null : accumulator.getLocalValue();
  }

  public OperatorHarness<IN, OUT, H> end() throws Exception {
    endInputs();
    collect();
    return this;
  }

  /** Commits all that the operator has emitted so far. */
  public final void collect() {
    List<OUT> records = take();
    committed.addAll(records);
    emitted(records);
  }

  private List<OUT> take() {
    List<OUT> records = new ArrayList<>(harness.extractOutputValues());
    harness.getOutput().clear();
    return records;
  }

  /** All records that the operator emitted and no failure discarded. */
  public final List<OUT> output() {
    List<OUT> output = new ArrayList<>(committed);
    output.addAll(harness.extractOutputValues());
    return output;
  }

  /** Without a checked exception, for try-with-resources. */
  @Override
  public void close() {
    collect();
    try {
      harness.close();
    } catch (Exception e) {
      throw new IllegalStateException("the operator could not be closed", e);
    }
  }
}
