package io.millrace.jobs.operator;

import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.datastream.DataStream;

/**
 * Fails a job once, when a given record passes in the first attempt: to watch it recover, not to
 * believe that it does.
 */
public final class InducedFailure extends RichMapFunction<ScoredRollout, ScoredRollout> {

  private static final long serialVersionUID = 1;

  private final long record;
  private transient long passed;
  private transient boolean armed;

  private InducedFailure(long record) {
    this.record = record;
  }

  /** The stream with the failure in it, or as it is where {@code record} is 0. */
  public static DataStream<ScoredRollout> insert(DataStream<ScoredRollout> stream, long record) {
    return record == 0
        ? stream
        : stream
            .map(new InducedFailure(record))
            .returns(TypeInformation.of(ScoredRollout.class))
            .name("induced failure")
            .uid("induced-failure");
  }

  @Override
  public void open(OpenContext context) {
    armed = getRuntimeContext().getTaskInfo().getAttemptNumber() == 0;
  }

  @Override
  public ScoredRollout map(ScoredRollout rollout) {
    passed++;
    if (armed && passed == record) {
      throw new IllegalStateException(
          "induced failure at rollout " + record + ", as ppo.fail-at-rollout asks for");
    }
    return rollout;
  }
}
