package io.millrace.cli.bench;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/** The result of a benchmark as one line of JSON, with keys in the order of the puts. */
final class StreamLine {

  private static final ObjectMapper JSON = new ObjectMapper();

  private final Map<String, Object> values = new LinkedHashMap<>();

  StreamLine(String name) {
    values.put("case", name);
  }

  StreamLine put(String key, String value) {
    values.put(key, value);
    return this;
  }

  StreamLine put(String key, long value) {
    values.put(key, value);
    return this;
  }

  StreamLine put(String key, double value) {
    values.put(key, BenchLine.rounded(value));
    return this;
  }

  /** The quantile of values at a share in [0, 1]; 0.5 is the median. */
  static double quantile(double[] values, double share) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[Math.min(sorted.length - 1, (int) (share * sorted.length))];
  }

  /** The line to print. */
  String toJson() {
    try {
      return JSON.writeValueAsString(values);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a map of numbers is JSON", e);
    }
  }
}
