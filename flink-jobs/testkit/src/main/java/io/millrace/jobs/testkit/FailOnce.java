package io.millrace.jobs.testkit;

import io.millrace.jobs.runtime.EdgeTap;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.streaming.api.datastream.DataStream;

/**
 * Fails a job once: in its first attempt, when a given record is about to reach an operator.
 *
 * @param operator uid of the operator
 * @param record number of the record, from 1
 */
public record FailOnce(String operator, long record) implements EdgeTap {

  @Override
  public <T> DataStream<T> at(String edge, DataStream<T> records) {
    return edge.equals(operator)
        ? records
            .map(new Failing<T>(record))
            .returns(records.getType())
            .name("fails once")
            .uid("fails-once")
        : records;
  }

  private static final class Failing<T> extends RichMapFunction<T, T> {

    private static final long serialVersionUID = 1;

    private final long record;
    private transient long passed;
    private transient boolean armed;

    Failing(long record) {
      this.record = record;
    }

    @Override
    public void open(OpenContext context) {
      armed = getRuntimeContext().getTaskInfo().getAttemptNumber() == 0;
    }

    @Override
    public T map(T value) {
      passed++;
      if (armed && passed == record) {
        throw new IllegalStateException("record %d fails on purpose".formatted(record));
      }
      return value;
    }
  }
}
