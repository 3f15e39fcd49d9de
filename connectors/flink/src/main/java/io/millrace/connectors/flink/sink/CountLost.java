package io.millrace.connectors.flink.sink;

import io.millrace.connectors.flink.decode.Totals;
import io.millrace.schemas.Topic;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;
import org.apache.flink.api.common.JobInfo;
import org.apache.flink.api.common.TaskInfo;
import org.apache.flink.connector.kafka.sink.KafkaCommittable;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.SimpleCounter;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.connector.sink2.CommittableMessage;
import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Counts the transactions that a committer lost since the job began. A committer has neither state
 * nor accumulators. It counts with a {@link #counter} of the same subtask, in the same process, and
 * this operator adds that to its own count after each commit.
 */
final class CountLost extends ProcessFunction<CommittableMessage<KafkaCommittable>, Void>
    implements CheckpointedFunction {
  private static final long serialVersionUID = 1L;

  /** Losses that are not in the state of an operator yet, by subtask. */
  private static final Map<String, LongAdder> NEW = new ConcurrentHashMap<>();

  private final Topic<?> topic;
  private transient Totals totals;
  private transient String subtask;

  CountLost(Topic<?> topic) {
    this.topic = topic;
  }

  private static String subtask(JobInfo job, TaskInfo task, Topic<?> topic) {
    return "%s %s %d %d"
        .formatted(job.getJobId(), topic, task.getIndexOfThisSubtask(), task.getAttemptNumber());
  }

  /** The counter of a subtask's committer. */
  static Counter counter(JobInfo job, TaskInfo task, Topic<?> topic) {
    String subtask = subtask(job, task, topic);
    return new SimpleCounter() {
      @Override
      public void inc() {
        super.inc();
        NEW.computeIfAbsent(subtask, _ -> new LongAdder()).increment();
      }
    };
  }

  @Override
  public void initializeState(FunctionInitializationContext context) throws Exception {
    subtask = subtask(getRuntimeContext().getJobInfo(), getRuntimeContext().getTaskInfo(), topic);
    totals = Totals.restored(getRuntimeContext(), context.getOperatorStateStore(), topic);
    totals.add(Totals.TRANSACTIONS_LOST, 0);
  }

  private void take() {
    LongAdder lost = NEW.remove(subtask);
    if (lost != null) {
      totals.add(Totals.TRANSACTIONS_LOST, lost.sum());
    }
  }

  @Override
  public void processElement(
      CommittableMessage<KafkaCommittable> message, Context context, Collector<Void> out) {
    take();
  }

  @Override
  public void snapshotState(FunctionSnapshotContext context) throws Exception {
    take();
    totals.snapshot();
  }

  /** A loss that stops the job is in the accumulators of the job that failed. */
  @Override
  public void close() {
    if (totals != null) {
      take();
    }
  }
}
