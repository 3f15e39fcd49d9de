package io.millrace.jobs.models;

import io.millrace.connectors.flink.decode.Totals;
import io.millrace.schemas.Topic;
import io.millrace.schemas.Turn;
import java.io.Serializable;
import java.util.List;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichFilterFunction;
import org.apache.flink.metrics.Counter;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.datastream.DataStream;

/**
 * Keeps {@linkplain HeldOut held-out} records from a job that learns. The metric {@code
 * records_held_out} counts them since the task began, and the accumulator {@code
 * topics/TOPIC/dropped/held-out} since the job began.
 *
 * @param <T> the record type
 */
public final class Withhold<T extends SpecificRecordBase> extends RichFilterFunction<T>
    implements CheckpointedFunction {

  private static final long serialVersionUID = 1;
  private static final String COUNT = Totals.DROPPED + "held-out";

  /** The dialogue of a record. */
  public interface DialogueOf<T> extends Serializable {
    List<Turn> of(T dialogue);
  }

  private final Topic<T> topic;
  private final HeldOut heldOut;
  private final DialogueOf<T> dialogue;
  private transient Totals totals;
  private transient Counter withheld;

  private Withhold(Topic<T> topic, HeldOut heldOut, DialogueOf<T> dialogue) {
    this.topic = topic;
    this.heldOut = heldOut;
    this.dialogue = dialogue;
  }

  /** The records that are not held out. */
  public static <T extends SpecificRecordBase> DataStream<T> from(
      DataStream<T> records, Topic<T> topic, double share, DialogueOf<T> dialogue) {
    return records
        .filter(new Withhold<>(topic, new HeldOut(share), dialogue))
        .name("held-out " + topic.name())
        .uid("held-out-" + topic.name())
        .setParallelism(records.getParallelism());
  }

  @Override
  public void initializeState(FunctionInitializationContext context) throws Exception {
    totals = Totals.restored(getRuntimeContext(), context.getOperatorStateStore(), topic);
    totals.add(COUNT, 0);
  }

  @Override
  public void snapshotState(FunctionSnapshotContext context) throws Exception {
    totals.snapshot();
  }

  @Override
  public void open(OpenContext context) {
    withheld =
        getRuntimeContext()
            .getMetricGroup()
            .addGroup("topic", topic.name())
            .counter("records_held_out");
  }

  @Override
  public boolean filter(T record) throws Exception {
    if (!heldOut.contains(dialogue.of(record))) {
      return true;
    }
    withheld.inc();
    totals.add(COUNT, 1);
    return false;
  }
}
