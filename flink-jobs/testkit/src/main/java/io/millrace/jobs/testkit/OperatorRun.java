package io.millrace.jobs.testkit;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.jobs.runtime.Outputs;
import io.millrace.schemas.TrainingMetrics;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Supplier;
import org.apache.flink.api.common.accumulators.Accumulator;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;

/** A run of a learning operator in Flink's harness, through any number of deaths. */
@SuppressWarnings("try") // Flink's harness may throw InterruptedException from close().
public class OperatorRun<IN> implements AutoCloseable {

  /** Settings of the smallest model there can be. */
  public static final List<String> TINY_MODEL =
      List.of(
          "model.hidden-size=8",
          "model.layers=1",
          "model.heads=1",
          "model.kv-heads=1",
          "model.ffn-size=8",
          "model.vocab-size=300",
          "model.max-positions=64");

  /** Digests of what was published, by version. */
  public final TreeMap<Long, String> published = new TreeMap<>();

  public final List<TrainingMetrics> metrics = new ArrayList<>();
  public OneInputStreamOperatorTestHarness<IN, StagedCheckpoint> harness;

  private final Supplier<OneInputStreamOperator<IN, StagedCheckpoint>> operator;
  private long snapshots;

  /**
   * @param operator makes a new one for each life
   * @param state to go on from; null for none
   */
  public OperatorRun(
      Supplier<OneInputStreamOperator<IN, StagedCheckpoint>> operator, OperatorSubtaskState state)
      throws Exception {
    this.operator = operator;
    begin(state);
  }

  private void begin(OperatorSubtaskState state) throws Exception {
    harness = new OneInputStreamOperatorTestHarness<>(operator.get(), 1, 1, 0);
    harness.setup();
    if (state != null) {
      harness.initializeState(state);
    }
    harness.open();
  }

  public OperatorRun<IN> feed(List<IN> records) throws Exception {
    for (IN record : records) {
      harness.processElement(new StreamRecord<>(record));
    }
    return this;
  }

  public OperatorSubtaskState snapshot() throws Exception {
    snapshots++;
    harness.prepareSnapshotPreBarrier(snapshots);
    return harness.snapshot(snapshots, snapshots);
  }

  /** Takes a Flink checkpoint, goes on with {@code lost}, dies, and resumes before that. */
  public void dieAfter(List<IN> lost) throws Exception {
    dieAfter(snapshot(), lost);
  }

  /** Goes on with {@code lost}, dies, and resumes from a Flink checkpoint. */
  public final void dieAfter(OperatorSubtaskState state, List<IN> lost) throws Exception {
    feed(lost);
    close();
    begin(state);
  }

  public void end() throws Exception {
    harness.endInput();
    collect();
  }

  public final void collect() {
    for (StagedCheckpoint checkpoint : harness.extractOutputValues()) {
      String digest = checkpoint.files().manifestSha256();
      String before = published.put(checkpoint.version(), digest);
      assertTrue(before == null || before.equals(digest), "the same version with other content");
    }
    var side = harness.getSideOutput(Outputs.METRICS);
    if (side != null) {
      side.forEach(record -> metrics.add(record.getValue()));
    }
  }

  /** What the operator reported under a name; null where it did not. */
  public final Object accumulator(String name) {
    Accumulator<?, ?> accumulator =
        harness.getEnvironment().getAccumulatorRegistry().getUserMap().get(name);
    return accumulator == null ? null : accumulator.getLocalValue();
  }

  /** Figures that a job reported at its end. */
  public final Map<String, Double> summary(String job) {
    Map<String, Double> summary = new TreeMap<>();
    ((Map<?, ?>) accumulator(job))
        .forEach((name, value) -> summary.put(name.toString(), (Double) value));
    return summary;
  }

  @Override
  public void close() throws Exception {
    collect();
    harness.close();
  }
}
