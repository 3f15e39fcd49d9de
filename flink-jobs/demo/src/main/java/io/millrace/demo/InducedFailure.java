package io.millrace.demo;

import io.millrace.jobs.runtime.EdgeTap;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.streaming.api.datastream.DataStream;

/** Fails the job {@code ppo} once, so that people can watch it recover. */
public final class InducedFailure implements EdgeTap {

  private final long rollout;

  /**
   * @param rollout the job fails in its first attempt when this rollout reaches the updater,
   *     counted from 1
   */
  public InducedFailure(long rollout) {
    this.rollout = rollout;
  }

  @Override
  public <T> DataStream<T> at(String operator, DataStream<T> records) {
    return records
        .map(new Failing<T>(rollout))
        .returns(records.getType())
        .name("induced failure")
        .uid("induced-failure");
  }

  private static final class Failing<T> extends RichMapFunction<T, T> {

    private static final long serialVersionUID = 1;

    private final long rollout;
    private transient long passed;

    Failing(long rollout) {
      this.rollout = rollout;
    }

    @Override
    public void open(OpenContext context) {
      if (getRuntimeContext().getTaskInfo().getAttemptNumber() > 0) {
        passed = rollout;
      }
    }

    @Override
    public T map(T value) {
      if (++passed == rollout) {
        throw new IllegalStateException(
            "rollout %d fails, as --fail-at-rollout asks".formatted(rollout));
      }
      return value;
    }
  }
}
