package io.millrace.demo.loop;

import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.common.JobExecutionResult;

/** Jobs' closing figures. */
public final class Summaries {

  private Summaries() {}

  /** A job's figures under a name. */
  public static Map<String, Double> of(JobExecutionResult result, String name) {
    Map<String, Double> figures = result.getAccumulatorResult(name);
    if (figures == null) {
      throw new IllegalStateException("the job ended without a summary of " + name);
    }
    return figures;
  }

  /** The figures below a prefix, without it. */
  public static Map<String, Double> section(Map<String, Double> figures, String prefix) {
    Map<String, Double> section = new TreeMap<>();
    figures.forEach(
        (name, value) -> {
          if (name.startsWith(prefix)) {
            section.put(name.substring(prefix.length()), value);
          }
        });
    return section;
  }
}
