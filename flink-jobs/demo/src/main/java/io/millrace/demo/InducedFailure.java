package io.millrace.demo;

import io.millrace.jobs.runtime.EdgeTap;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.streaming.api.datastream.DataStream;

/** Fails the job {@code ppo} once, for people who want to watch its recovery. */
public final class InducedFailure implements EdgeTap {

  private final long rollout;

  /**
   * A failure in the job's first attempt.
   *
   * @param rollout the rollout at which the job fails, counted from 1 at the updater
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
            "induced failure at rollout %d: --fail-at-rollout asks for it".formatted(rollout));
      }
      return value;
    }
  }
}
