package io.millrace.jobs.testkit;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.connectors.checkpoint.StagedCheckpoint;
import io.millrace.jobs.runtime.Outputs;
import io.millrace.schemas.Lineage;
import io.millrace.schemas.Topic;
import io.millrace.schemas.TrainingMetrics;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Supplier;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.OneInputStreamOperatorTestHarness;

/**
 * A run of an operator that trains and publishes.
 *
 * @param <IN> records that it learns from
 */
public class OperatorRun<IN>
    extends OperatorHarness<
        IN, StagedCheckpoint, OneInputStreamOperatorTestHarness<IN, StagedCheckpoint>> {

  /**
   * Manifest digests of what was published, by version. An attempt that fails may publish a version
   * that the next attempt publishes again, with the same content.
   */
  public final TreeMap<Long, String> published = new TreeMap<>();

  /**
   * What the published versions learned from, by key and without the time. An attempt that fails
   * may emit a record that the next attempt emits again.
   */
  public final TreeMap<String, Lineage> lineage = new TreeMap<>();

  /** Metrics of all attempts, in the order of emission. */
  public final List<TrainingMetrics> metrics = new ArrayList<>();

  /**
   * @param operator makes a new one for each attempt
   * @param state to start from; null for none
   */
  public OperatorRun(
      Supplier<OneInputStreamOperator<IN, StagedCheckpoint>> operator, OperatorSubtaskState state)
      throws Exception {
    super(() -> new OneInputStreamOperatorTestHarness<>(operator.get(), 1, 1, 0), state);
  }

  @Override
  protected void process(IN record) throws Exception {
    harness.processElement(new StreamRecord<>(record));
  }

  @Override
  protected void endInputs() throws Exception {
    harness.endInput();
  }

  @Override
  protected void emitted(List<StagedCheckpoint> checkpoints) {
    for (StagedCheckpoint checkpoint : checkpoints) {
      String digest = checkpoint.files().manifestSha256();
      String before = published.put(checkpoint.version(), digest);
      assertTrue(
          before == null || before.equals(digest),
          () ->
              "version %d was published with two manifests: %s and %s"
                  .formatted(checkpoint.version(), before, digest));
    }
    var learned = harness.getSideOutput(Outputs.LINEAGE);
    if (learned != null) {
      learned.forEach(record -> learned(record.getValue()));
      learned.clear();
    }
    var side = harness.getSideOutput(Outputs.METRICS);
    if (side != null) {
      side.forEach(record -> metrics.add(record.getValue()));
      side.clear();
    }
  }

  private void learned(Lineage emitted) {
    Lineage record = Lineage.newBuilder(emitted).setTime(Instant.EPOCH).build();
    Lineage before = lineage.put(Topic.LINEAGE.keyOf(record), record);
    assertTrue(
        before == null || before.equals(record),
        () -> "a version was published with two lineages: %s and %s".formatted(before, record));
  }

  /** The ids that a version of the operator's model learned from, in the order of learning. */
  public final List<String> learnedBy(long version) {
    return lineage.values().stream()
        .filter(record -> record.getVersion() == version)
        .flatMap(record -> record.getIds().stream())
        .toList();
  }

  @Override
  public OperatorRun<IN> feed(List<IN> records) throws Exception {
    super.feed(records);
    return this;
  }

  @Override
  public OperatorRun<IN> end() throws Exception {
    super.end();
    return this;
  }

  /** The metrics that a job reports at its end. */
  public final Map<String, Double> summary(String job) {
    Map<String, Double> summary = new TreeMap<>();
    ((Map<?, ?>) accumulator(job))
        .forEach((name, value) -> summary.put(name.toString(), (Double) value));
    return summary;
  }
}
