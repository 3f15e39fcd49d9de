package io.millrace.jobs.evaluation;

import io.millrace.schemas.Verdict;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The gate's verdict on a version.
 *
 * @param evaluated the version
 * @param reasons for the verdict, in words
 * @param metrics of the version, by name
 */
record VersionVerdict(
    long evaluated, Verdict verdict, List<String> reasons, Map<String, Double> metrics) {

  /** The metric that counts the looks that a held version may still get. */
  static final String LOOKS_LEFT = "looks/left";

  VersionVerdict {
    reasons = List.copyOf(reasons);
    metrics = Collections.unmodifiableMap(new TreeMap<>(metrics));
  }

  /** Whether the version is held for now and gets another look. */
  boolean isOpen() {
    return isOpen(metrics);
  }

  /** Whether a record's metrics are those of a version that gets another look. */
  static boolean isOpen(Map<String, Double> metrics) {
    return metrics.getOrDefault(LOOKS_LEFT, 0.0) > 0;
  }

  boolean isPromoted() {
    return verdict == Verdict.PROMOTE;
  }

  /** The verdict as a metric: 1 promoted, 0 held, -1 rolled back. */
  double code() {
    return switch (verdict) {
      case PROMOTE -> 1;
      case HOLD -> 0;
      case ROLL_BACK -> -1;
    };
  }
}
