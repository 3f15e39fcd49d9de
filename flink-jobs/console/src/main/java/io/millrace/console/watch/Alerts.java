package io.millrace.console.watch;

import io.millrace.schemas.TrainingMetrics;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/**
 * Metrics that left their range. A metric raises an alert where the mean of its last steps differs
 * from the mean of the steps before by more than four standard deviations of those, and by more
 * than a tenth.
 */
final class Alerts {

  private static final int RECENT = 5;
  private static final int WINDOW = 50;
  private static final int LEAST = 20;
  private static final double DEVIATIONS = 4;
  private static final double LEAST_CHANGE = 0.1;
  private static final int MOST_SERIES = 500;

  /** The metrics that are watched. */
  private static final List<String> WATCHED =
      List.of("kl", "length", "accuracy", "score", "reward");

  private final Map<String, Deque<Double>> series = new TreeMap<>();

  void add(TrainingMetrics metrics) {
    metrics
        .getMetrics()
        .forEach(
            (name, value) -> {
              String series = metrics.getJob() + ": " + name;
              boolean watched = WATCHED.stream().anyMatch(name.toLowerCase(Locale.ROOT)::contains);
              if (watched && Double.isFinite(value)) {
                add(series, value);
              }
            });
  }

  private void add(String name, double value) {
    if (series.size() >= MOST_SERIES && !series.containsKey(name)) {
      return;
    }
    Deque<Double> values = series.computeIfAbsent(name, _ -> new ArrayDeque<>());
    values.addLast(value);
    if (values.size() > WINDOW) {
      values.removeFirst();
    }
  }

  List<String> texts() {
    List<String> texts = new ArrayList<>();
    series.forEach(
        (name, values) -> {
          if (values.size() >= LEAST) {
            List<Double> all = List.copyOf(values);
            int split = all.size() - RECENT;
            double before = mean(all.subList(0, split));
            double now = mean(all.subList(split, all.size()));
            double change = Math.abs(now - before);
            if (change > DEVIATIONS * deviation(all.subList(0, split), before)
                && change > LEAST_CHANGE * Math.abs(before)) {
              texts.add(
                  String.format(
                      Locale.ROOT,
                      "%s went from %.4g to %.4g within %d steps",
                      name,
                      before,
                      now,
                      RECENT));
            }
          }
        });
    return texts;
  }

  private static double mean(List<Double> values) {
    return values.stream().mapToDouble(Double::doubleValue).average().orElse(0);
  }

  private static double deviation(List<Double> values, double mean) {
    return Math.sqrt(values.stream().mapToDouble(v -> (v - mean) * (v - mean)).average().orElse(0));
  }
}
