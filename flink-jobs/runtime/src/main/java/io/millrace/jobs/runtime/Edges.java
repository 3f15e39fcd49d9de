package io.millrace.jobs.runtime;

import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.streaming.api.datastream.DataStream;

/**
 * Edges on which the barrier of an unaligned Flink checkpoint overtakes the records that wait for a
 * slow operator. Flink lets it do so where records are spread over all subtasks, and neither where
 * each subtask has its own successor, as without these, nor where {@link DataStream#broadcast} has
 * any part in an operator's input.
 */
public final class Edges {

  private Edges() {}

  /** To an operator of parallelism 1, which becomes a task of its own. */
  public static <T> DataStream<T> toOne(DataStream<T> records) {
    return records.global();
  }

  /** To the subtasks of an operator in turn. */
  public static <T> DataStream<T> toAny(DataStream<T> records) {
    return records.rebalance();
  }

  /**
   * Each record to every subtask of an operator.
   *
   * @param parallelism of that operator
   * @param name what the records are
   */
  public static <T> DataStream<T> toAll(DataStream<T> records, int parallelism, String name) {
    if (parallelism == 1) {
      return records.rebalance();
    }
    // One after another to the subtasks in turn, beginning anywhere: each gets one of the copies.
    FlatMapFunction<T, T> copies =
        (record, out) -> {
          for (int i = 0; i < parallelism; i++) {
            out.collect(record);
          }
        };
    return records
        .flatMap(copies)
        .returns(records.getType())
        .name(name + " for every subtask")
        .uid("for-every-subtask-" + name)
        .setParallelism(1)
        .rebalance();
  }
}
