package io.millrace.demo.loop;

import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.common.JobExecutionResult;

/** The metrics with which jobs end. */
public final class Summaries {

  private Summaries() {}

  /**
   * The closing metrics of a job.
   *
   * @param name the job's name for its summary
   * @throws IllegalStateException where the job has no such summary
   */
  public static Map<String, Double> of(JobExecutionResult result, String name) {
    Map<String, Double> metrics = result.getAccumulatorResult(name);
    if (metrics == null) {
      throw new IllegalStateException("the job ended without the summary '" + name + "'");
    }
    return metrics;
  }

  /** The metrics whose names begin with a prefix, under the rest of their names. */
  public static Map<String, Double> section(Map<String, Double> metrics, String prefix) {
    Map<String, Double> section = new TreeMap<>();
    metrics.forEach(
        (name, value) -> {
          if (name.startsWith(prefix)) {
            section.put(name.substring(prefix.length()), value);
          }
        });
    return section;
  }
}
