package io.millrace.jobs.rollout;

import io.millrace.connectors.flink.decode.Totals;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Topic;
import java.util.List;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichFilterFunction;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.metrics.Counter;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.datastream.DataStream;

/**
 * Keeps the share of safety prompts among those that are sampled, whatever the share in the topic:
 * drops prompts of the kind that has too many. The metric {@code records_dropped_by_mix} counts
 * them since the task began, and the accumulator {@code topics/prompts/dropped/mix} since the job
 * began.
 *
 * <p>Which prompts are dropped depends on the order of the prompts alone.
 */
final class PromptMix extends RichFilterFunction<Prompt> implements CheckpointedFunction {

  private static final long serialVersionUID = 1;
  private static final String COUNT = Totals.DROPPED + "mix";

  /** Prompts by which a kind may be ahead of its share. */
  static final int SLACK = 8;

  private final double safetyShare;
  private transient Totals totals;
  private transient Counter dropped;
  private transient ListState<Tuple2<Long, Long>> saved;
  private transient ListState<Double> savedShare;
  private transient boolean sameShare;

  // State.
  private transient long safety;
  private transient long others;

  private PromptMix(double safetyShare) {
    this.safetyShare = safetyShare;
  }

  /** The prompts that keep the share; with share 0 all of them. */
  static DataStream<Prompt> of(DataStream<Prompt> prompts, double safetyShare) {
    // With share 0 too, so that a job can be resumed with another share.
    return prompts
        .filter(new PromptMix(safetyShare))
        .name("mix of prompts")
        .uid("prompt-mix")
        .setParallelism(prompts.getParallelism());
  }

  @Override
  public void initializeState(FunctionInitializationContext context) throws Exception {
    totals = Totals.restored(getRuntimeContext(), context.getOperatorStateStore(), Topic.PROMPTS);
    totals.add(COUNT, 0);
    saved =
        context
            .getOperatorStateStore()
            .getListState(new ListStateDescriptor<>("taken", Types.TUPLE(Types.LONG, Types.LONG)));
    savedShare =
        context
            .getOperatorStateStore()
            .getListState(new ListStateDescriptor<>("share", Types.DOUBLE));
    for (double share : savedShare.get()) {
      sameShare |= share == safetyShare;
    }
    // With another share the counts would hold one kind back for as long as they are off.
    if (sameShare) {
      for (Tuple2<Long, Long> taken : saved.get()) {
        safety += taken.f0;
        others += taken.f1;
      }
    }
  }

  @Override
  public void snapshotState(FunctionSnapshotContext context) throws Exception {
    totals.snapshot();
    saved.clear();
    saved.add(Tuple2.of(safety, others));
    savedShare.update(List.of(safetyShare));
  }

  @Override
  public void open(OpenContext context) {
    dropped =
        getRuntimeContext()
            .getMetricGroup()
            .addGroup("topic", Topic.PROMPTS.name())
            .counter("records_dropped_by_mix");
  }

  @Override
  public boolean filter(Prompt prompt) {
    if (safetyShare == 0) {
      return true;
    }
    double share = prompt.getIsSafety() ? safetyShare : 1 - safetyShare;
    long ofKind = prompt.getIsSafety() ? safety : others;
    if (ofKind + 1 > share * (safety + others + 1) + SLACK) {
      dropped.inc();
      totals.add(COUNT, 1);
      return false;
    }
    if (prompt.getIsSafety()) {
      safety++;
    } else {
      others++;
    }
    return true;
  }
}
