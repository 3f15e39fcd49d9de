package io.millrace.tests.metrics;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The metrics and labels of a PromQL expression, as far as dashboards and alert rules need it.
 *
 * @param selectors labels in the braces of each metric; a metric without braces has none
 * @param groupings labels of {@code by} and {@code on}
 */
record PromQl(Map<String, Set<String>> selectors, Set<String> groupings) {

  private static final Set<String> WORDS =
      Set.of(
          "abs",
          "and",
          "avg",
          "avg_over_time",
          "by",
          "clamp_min",
          "count",
          "delta",
          "deriv",
          "histogram_quantile",
          "ignoring",
          "increase",
          "label_values",
          "max",
          "max_over_time",
          "min",
          "min_over_time",
          "offset",
          "on",
          "or",
          "rate",
          "sum",
          "time",
          "topk",
          "unless",
          "without");
  private static final Pattern TEXT = Pattern.compile("\"(?:[^\"\\\\]|\\\\.)*\"");
  private static final Pattern DURATION =
      Pattern.compile("\\b\\d+[smhdwy]\\b|\\b\\d+(?:\\.\\d+)?\\b");
  private static final Pattern GROUPING =
      Pattern.compile("\\b(?:by|on|without|ignoring)\\s*\\(([^)]*)\\)");
  private static final Pattern NAME =
      Pattern.compile("([a-zA-Z_:][a-zA-Z0-9_:]*)\\s*(\\{[^}]*\\})?");
  private static final Pattern LABEL = Pattern.compile("([a-zA-Z_]\\w*)\\s*(?:=~|!~|!=|=)");

  static PromQl parse(String expression) {
    String code = TEXT.matcher(expression).replaceAll("\"\"");
    Set<String> groupings = new TreeSet<>();
    Matcher grouping = GROUPING.matcher(code);
    while (grouping.find()) {
      groupings.addAll(List.of(grouping.group(1).strip().split("\\s*,\\s*")));
    }
    code = DURATION.matcher(GROUPING.matcher(code).replaceAll(" ")).replaceAll(" ");
    Map<String, Set<String>> selectors = new TreeMap<>();
    Matcher name = NAME.matcher(code);
    while (name.find()) {
      if (!WORDS.contains(name.group(1))) {
        Set<String> labels = selectors.computeIfAbsent(name.group(1), _ -> new LinkedHashSet<>());
        if (name.group(2) != null) {
          Matcher label = LABEL.matcher(name.group(2));
          while (label.find()) {
            labels.add(label.group(1));
          }
        }
      }
    }
    return new PromQl(selectors, groupings);
  }

  /** What an expression uses that does not exist; one text each. */
  List<String> missing(Map<String, Set<String>> labelsByMetric) {
    List<String> missing = new ArrayList<>();
    selectors.forEach(
        (metric, labels) -> {
          Set<String> there = labelsByMetric.get(metric);
          if (there == null) {
            missing.add("no metric " + metric);
            return;
          }
          Set<String> used = new TreeSet<>(labels);
          used.addAll(groupings);
          used.removeAll(there);
          used.forEach(label -> missing.add("no label " + label + " of " + metric));
        });
    if (selectors.isEmpty()) {
      missing.add("no metric in the expression");
    }
    return missing;
  }
}
