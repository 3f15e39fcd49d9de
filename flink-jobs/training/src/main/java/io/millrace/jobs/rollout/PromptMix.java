package io.millrace.jobs.rollout;

import io.millrace.jobs.models.DroppingFilter;
import io.millrace.schemas.Prompt;
import io.millrace.schemas.Topic;
import java.util.List;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple3;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.datastream.DataStream;

/**
 * Keeps the share of safety prompts that the policy samples, whatever their share in the topic: it
 * drops prompts of the kind that has too many. The metric {@code records_dropped_by_mix} counts
 * them since the task began, and the accumulator {@code topics/prompts/dropped/mix} since the job
 * began.
 *
 * <p>Which prompts are dropped depends on the order of the prompts alone.
 */
final class PromptMix extends DroppingFilter<Prompt> {

  private static final long serialVersionUID = 1;

  /** Prompts by which a kind may be ahead of its share. */
  static final int SLACK = 8;

  private final double safetyShare;

  /** The share, and the safety prompts and the others that were taken with it. */
  private transient ListState<Tuple3<Double, Long, Long>> saved;

  // State.
  private transient long safety;
  private transient long others;

  private PromptMix(double safetyShare) {
    super(Topic.PROMPTS, "mix", "records_dropped_by_mix");
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
    super.initializeState(context);
    saved =
        context
            .getOperatorStateStore()
            .getListState(
                new ListStateDescriptor<>(
                    "taken", Types.TUPLE(Types.DOUBLE, Types.LONG, Types.LONG)));
    for (Tuple3<Double, Long, Long> taken : saved.get()) {
      // With another share the counts would hold one kind back for as long as they are off.
      if (taken.f0 == safetyShare) {
        safety += taken.f1;
        others += taken.f2;
      }
    }
  }

  @Override
  public void snapshotState(FunctionSnapshotContext context) throws Exception {
    super.snapshotState(context);
    saved.update(List.of(Tuple3.of(safetyShare, safety, others)));
  }

  @Override
  protected boolean keeps(Prompt prompt) {
    if (safetyShare == 0) {
      return true;
    }
    double share = prompt.getIsSafety() ? safetyShare : 1 - safetyShare;
    long ofKind = prompt.getIsSafety() ? safety : others;
    if (ofKind + 1 > share * (safety + others + 1) + SLACK) {
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
