package io.millrace.jobs.runtime;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The name and labels of a training metric as a gauge of Flink. A value in the metric's name
 * becomes a label: {@code accuracy/BETTER} is {@code accuracy} with the label {@code
 * rating="BETTER"}. So one query covers all values.
 *
 * @param name in lower case, with underscores
 * @param labels keys and values, in the order of the metric's name
 */
record GaugeName(String name, List<Map.Entry<String, String>> labels) {

  /**
   * A value in names of metrics.
   *
   * @param pattern finds the value, its first group
   * @param replacement of the whole match in the name
   */
  private record Value(Pattern pattern, String label, String replacement) {

    Value(String pattern, String label, String replacement) {
      this(Pattern.compile(pattern), label, replacement);
    }
  }

  private static final List<Value> VALUES =
      List.of(
          new Value(
              "^reward_model/((?:helpfulness|safety)(?:-judge)?)/", "objective", "reward_model/"),
          new Value("^ensemble/(helpfulness|safety)/", "objective", "ensemble/"),
          new Value("^score/(helpfulness|safety|combined)/", "objective", "score/"),
          new Value("^win_rate/([^/]+)/", "against", "win_rate/"),
          new Value("^dropped/([^/]+)$", "reason", "dropped"),
          new Value(
              "^rejection/(helpfulness|safety)-version$",
              "objective",
              "rejection/reward-model-version"),
          new Value("^rejection/(all|helpfulness|safety)/", "objective", "rejection/"),
          new Value("^rejection/temperature/([^/]+)/", "temperature", "rejection/"),
          new Value("/k=(\\d+)$", "k", ""),
          new Value("(?<=\\b(?:accuracy|margin))/(all|[A-Z_]+)$", "rating", ""),
          new Value("\\bcalibration/bin(\\d+)/", "bin", "calibration/"));

  static GaugeName of(String metric) {
    String name = metric;
    List<Map.Entry<String, String>> labels = new ArrayList<>();
    for (Value value : VALUES) {
      Matcher found = value.pattern().matcher(name);
      if (found.find()) {
        labels.add(Map.entry(value.label(), found.group(1)));
        name = found.replaceFirst(value.replacement());
      }
    }
    return new GaugeName(name.replace('/', '_').replace('-', '_'), List.copyOf(labels));
  }
}
