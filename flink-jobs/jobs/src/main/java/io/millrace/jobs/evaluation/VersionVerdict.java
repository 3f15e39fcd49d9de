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

  VersionVerdict {
    reasons = List.copyOf(reasons);
    metrics = Collections.unmodifiableMap(new TreeMap<>(metrics));
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
