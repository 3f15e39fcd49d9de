package io.millrace.cli.annotators;

import io.millrace.schemas.TrainingMetrics;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * What a reward model found out about an annotator or a source.
 *
 * @param kind {@code annotator} or {@code source}
 * @param values by metric, such as {@code reliability}
 */
record AnnotatorRow(String kind, String name, Map<String, Double> values) {

  private static final Set<String> KINDS = Set.of("annotator", "source");

  /** The rows of a record, those with the most judgments first, annotators before sources. */
  static List<AnnotatorRow> of(TrainingMetrics metrics) {
    Map<String, Map<String, Double>> byJudge = new TreeMap<>();
    metrics
        .getMetrics()
        .forEach(
            (metric, value) -> {
              int end = metric.lastIndexOf('/');
              if (end > 0) {
                byJudge
                    .computeIfAbsent(metric.substring(0, end), _ -> new TreeMap<>())
                    .put(metric.substring(end + 1), value);
              }
            });
    List<AnnotatorRow> rows = new ArrayList<>();
    byJudge.forEach(
        (judge, values) -> {
          int slash = judge.indexOf('/');
          // The name may be empty: a source that is not named.
          if (slash > 0 && KINDS.contains(judge.substring(0, slash))) {
            rows.add(
                new AnnotatorRow(judge.substring(0, slash), judge.substring(slash + 1), values));
          }
        });
    rows.sort(
        Comparator.comparing(AnnotatorRow::kind)
            .thenComparing(Comparator.comparingDouble(AnnotatorRow::judgments).reversed())
            .thenComparing(AnnotatorRow::name));
    return rows;
  }

  double value(String metric) {
    return values.getOrDefault(metric, Double.NaN);
  }

  private double judgments() {
    return value("judgments");
  }

  /** What a person should look at; empty if there is nothing. */
  String notice() {
    List<String> notices = new ArrayList<>();
    if (value("held_back") == 1) {
      notices.add("held back");
    }
    if (value("weight") == 0) {
      notices.add("worse than guessing");
    }
    // Four standard errors: one of 30,000 unbiased annotators.
    if (Math.abs(value("position_bias")) > 4 * value("position_error")) {
      notices.add(value("position_bias") > 0 ? "prefers A" : "prefers B");
    }
    return String.join(", ", notices);
  }
}
