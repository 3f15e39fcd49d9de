package io.millrace.jobs.testkit;

import java.util.List;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.api.operators.TwoInputStreamOperator;
import org.apache.flink.streaming.util.TwoInputStreamOperatorTestHarness;
import org.apache.flink.util.function.SupplierWithException;

/**
 * A run of an operator that reads records and announcements of models.
 *
 * @param <IN> records of the first input
 * @param <A> announcements, of the second input
 * @param <OUT> records of the main output
 */
public final class TwoInputRun<IN, A, OUT>
    extends OperatorHarness<IN, OUT, TwoInputStreamOperatorTestHarness<IN, A, OUT>> {

  /**
   * @param attempts makes Flink's harness, with a new operator, for each attempt
   * @param state to start from; null for none
   */
  public TwoInputRun(
      SupplierWithException<TwoInputStreamOperatorTestHarness<IN, A, OUT>, Exception> attempts,
      OperatorSubtaskState state)
      throws Exception {
    super(attempts, state);
  }

  /**
   * Starts the operator with parallelism 1.
   *
   * @param operator makes a new one for each attempt
   * @param state to start from; null for none
   */
  public static <IN, A, OUT> TwoInputRun<IN, A, OUT> of(
      SupplierWithException<? extends TwoInputStreamOperator<IN, A, OUT>, Exception> operator,
      OperatorSubtaskState state)
      throws Exception {
    return new TwoInputRun<>(
        () -> new TwoInputStreamOperatorTestHarness<>(operator.get(), 1, 1, 0), state);
  }

  /**
   * Starts one subtask of an operator that ran with parallelism 1 before.
   *
   * @param operator makes a new one for each attempt
   * @param state of the one subtask before
   */
  public static <IN, A, OUT> TwoInputRun<IN, A, OUT> rescaled(
      SupplierWithException<? extends TwoInputStreamOperator<IN, A, OUT>, Exception> operator,
      OperatorSubtaskState state,
      int parallelism,
      int subtask)
      throws Exception {
    return new TwoInputRun<>(
        () ->
            new TwoInputStreamOperatorTestHarness<>(
                operator.get(), parallelism, parallelism, subtask),
        OperatorStates.rescaled(state, parallelism, subtask));
  }

  @Override
  protected void process(IN record) throws Exception {
    harness.processElement1(record, 0);
  }

  @Override
  protected void endInputs() throws Exception {
    endRecords();
    endAnnouncements();
  }

  @Override
  public TwoInputRun<IN, A, OUT> feed(List<IN> records) throws Exception {
    super.feed(records);
    return this;
  }

  public TwoInputRun<IN, A, OUT> announce(List<? extends A> announcements) throws Exception {
    for (A announcement : announcements) {
      harness.processElement2(announcement, 0);
    }
    return this;
  }

  /** Ends the first input. */
  public void endRecords() throws Exception {
    harness.endInput1();
  }

  /** Ends the second input. */
  public void endAnnouncements() throws Exception {
    harness.endInput2();
  }

  @Override
  public TwoInputRun<IN, A, OUT> end() throws Exception {
    super.end();
    return this;
  }
}
