package io.millrace.jobs.operator;

import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.streaming.api.datastream.DataStream;

/**
 * Fails a job once, when a given record passes in the first attempt: to watch it recover, not to
 * believe that it does.
 */
public final class InducedFailure<T> extends RichMapFunction<T, T> {

  private static final long serialVersionUID = 1;

  private final long record;
  private final String option;
  private transient long passed;
  private transient boolean armed;

  private InducedFailure(long record, String option) {
    this.record = record;
    this.option = option;
  }

  /**
   * The stream with the failure in it, or as it is where {@code record} is 0.
   *
   * @param option what asks for it, for the message
   */
  public static <T> DataStream<T> insert(DataStream<T> stream, long record, String option) {
    return record == 0
        ? stream
        : stream
            .map(new InducedFailure<T>(record, option))
            .returns(stream.getType())
            .name("induced failure")
            .uid("induced-failure");
  }

  @Override
  public void open(OpenContext context) {
    armed = getRuntimeContext().getTaskInfo().getAttemptNumber() == 0;
  }

  @Override
  public T map(T value) {
    passed++;
    if (armed && passed == record) {
      throw new IllegalStateException(
          "induced failure at record " + record + ", as " + option + " asks for");
    }
    return value;
  }
}
