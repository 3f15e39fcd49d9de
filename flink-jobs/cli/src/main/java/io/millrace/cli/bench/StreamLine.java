package io.millrace.cli.bench;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/** One line of JSON of a stream benchmark; figures in the order in which they were put. */
public final class StreamLine {

  private static final ObjectMapper JSON = new ObjectMapper();

  private final Map<String, Object> figures = new LinkedHashMap<>();

  StreamLine(String name) {
    figures.put("case", name);
  }

  StreamLine put(String key, long value) {
    figures.put(key, value);
    return this;
  }

  StreamLine put(String key, double value) {
    figures.put(key, BenchLine.rounded(value));
    return this;
  }

  /** A value that a share of them does not exceed; the median at 0.5. */
  static double quantile(double[] values, double share) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[Math.min(sorted.length - 1, (int) (share * sorted.length))];
  }

  /** The line as it is printed. */
  public String toJson() {
    try {
      return JSON.writeValueAsString(figures);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a map of numbers is JSON", e);
    }
  }
}
