package io.millrace.jobs.models;

import io.millrace.connectors.flink.decode.Totals;
import io.millrace.schemas.Topic;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichFilterFunction;
import org.apache.flink.metrics.Counter;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;

/**
 * Keeps records from a job, and counts them: a metric since the task began, and the accumulator
 * {@code topics/TOPIC/dropped/REASON} since the job began.
 *
 * @param <T> the record type
 */
public abstract class DroppingFilter<T extends SpecificRecordBase> extends RichFilterFunction<T>
    implements CheckpointedFunction {

  private static final long serialVersionUID = 1;

  private final Topic<T> topic;
  private final String count;
  private final String metric;
  private transient Totals totals;
  private transient Counter dropped;

  /**
   * @param reason in the name of the accumulator
   * @param metric name of the metric
   */
  protected DroppingFilter(Topic<T> topic, String reason, String metric) {
    this.topic = topic;
    this.count = Totals.DROPPED + reason;
    this.metric = metric;
  }

  /** Whether the job gets a record. Called once for each, in their order. */
  protected abstract boolean keeps(T record) throws Exception;

  @Override
  public void initializeState(FunctionInitializationContext context) throws Exception {
    totals = Totals.restored(getRuntimeContext(), context.getOperatorStateStore(), topic);
    totals.add(count, 0);
  }

  @Override
  public void snapshotState(FunctionSnapshotContext context) throws Exception {
    totals.snapshot();
  }

  @Override
  public void open(OpenContext context) {
    dropped = getRuntimeContext().getMetricGroup().addGroup("topic", topic.name()).counter(metric);
  }

  @Override
  public final boolean filter(T record) throws Exception {
    boolean kept = keeps(record);
    if (!kept) {
      dropped.inc();
      totals.add(count, 1);
    }
    return kept;
  }
}
