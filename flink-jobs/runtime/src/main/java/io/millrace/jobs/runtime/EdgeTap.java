package io.millrace.jobs.runtime;

import org.apache.flink.streaming.api.datastream.DataStream;

/**
 * Lets the caller that builds a job's graph put operators of its own on the job's edges: to count,
 * record or disturb the records that pass.
 */
public interface EdgeTap {

  /** Leaves every edge as it is. */
  EdgeTap NONE =
      new EdgeTap() {
        @Override
        public <T> DataStream<T> at(String operator, DataStream<T> records) {
          return records;
        }
      };

  /**
   * The records that an operator gets in place of {@code records}.
   *
   * @param operator uid of the operator at the end of the edge
   */
  <T> DataStream<T> at(String operator, DataStream<T> records);
}
