package io.millrace.report;

import io.millrace.report.RunData.LabelledMetrics;
import io.millrace.report.chart.Chart;
import io.millrace.report.chart.Format;
import io.millrace.report.chart.LineChart;
import io.millrace.report.chart.Point;
import io.millrace.report.chart.Series;
import io.millrace.report.page.Page;
import io.millrace.report.page.Table;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The reward of the best of k samples, and the best temperature (Llama 2, figures 7 and 8). */
final class RejectionSections {

  private static final String REWARD = "reward";
  private static final List<String> KINDS = List.of("helpfulness", "safety");
  private static final Pattern TEMPERATURE =
      Pattern.compile("rejection/(helpfulness|safety)/temperature/([0-9.]+)/max/k=(\\d+)");

  private RejectionSections() {}

  static void add(Page page, RunData run) {
    if (run.rejection.isEmpty()) {
      return;
    }
    page.section("Rejection sampling")
        .text(
            "The policy samples K responses to each prompt, and the current reward models score"
                + " them. The next version learns from the best. Values are means over prompts and,"
                + " for k below K, over all subsets of k samples.");
    page.charts(
        lastVersion(run.rejection.getLast()),
        byVersion(run, "max", "Best of k samples, by version"),
        gap(run),
        temperatures(run),
        byKind(run.rejection.getLast()));
    table(page, run);
  }

  private static Chart lastVersion(LabelledMetrics version) {
    return new LineChart(
            "Best, median and mean of k samples, " + version.label(),
            "k, samples of a prompt",
            REWARD)
        .logarithmicX()
        .add(Series.of("max", points(version, "all", "max")))
        .add(Series.of("median", points(version, "all", "median")))
        .add(
            Series.reference(
                "mean",
                points(version, "all", "max").stream()
                    .map(point -> Point.of(point.x(), version.get("rejection/all/mean")))
                    .toList()));
  }

  private static Chart byKind(LabelledMetrics version) {
    LineChart chart =
        new LineChart(
                "Best and median by kind of prompt, " + version.label(),
                "k, samples of a prompt",
                REWARD)
            .logarithmicX();
    for (String kind : KINDS) {
      chart.add(Series.of(kind + ", max", points(version, kind, "max")));
      chart.add(Series.dashed(kind + ", median", points(version, kind, "median")));
    }
    return chart;
  }

  private static Chart byVersion(RunData run, String statistic, String title) {
    LineChart chart =
        new LineChart(title, "k, samples of a prompt", REWARD).logarithmicX().ordered();
    for (LabelledMetrics version : run.rejection) {
      chart.add(Series.of(version.label(), points(version, "all", statistic)));
    }
    return chart;
  }

  private static Chart gap(RunData run) {
    LineChart chart =
        new LineChart(
                "Possible gain: best of k samples above the median of all",
                "k, samples of a prompt",
                "difference of rewards")
            .logarithmicX()
            .ordered();
    for (LabelledMetrics version : run.rejection) {
      List<Point> points = new ArrayList<>();
      List<Point> medians = points(version, "all", "median");
      for (Point max : points(version, "all", "max")) {
        points.add(Point.of(max.x(), max.y() - medians.getLast().y()));
      }
      chart.add(Series.of(version.label(), points));
    }
    return chart;
  }

  private static List<Point> points(LabelledMetrics version, String kind, String statistic) {
    List<Point> points = new ArrayList<>();
    for (int k = 1; ; k++) {
      String name = "rejection/%s/%s/k=%d".formatted(kind, statistic, k);
      if (!version.has(name)) {
        return points;
      }
      points.add(Point.of(k, version.get(name)));
    }
  }

  private static Chart temperatures(RunData run) {
    LineChart chart =
        new LineChart("Best reward by temperature", "sampling temperature", REWARD)
            .ordered()
            .note("The best of the same number of samples at each temperature.");
    for (LabelledMetrics version : run.rejection) {
      for (String kind : KINDS) {
        List<Point> points = temperatures(version, kind);
        if (!points.isEmpty()) {
          chart.add(Series.of(version.label() + ", " + kind, points));
        }
      }
    }
    return chart;
  }

  private static List<Point> temperatures(LabelledMetrics version, String kind) {
    int most =
        version.values().keySet().stream()
            .map(TEMPERATURE::matcher)
            .filter(matcher -> matcher.matches() && matcher.group(1).equals(kind))
            .mapToInt(matcher -> Integer.parseInt(matcher.group(3)))
            .max()
            .orElse(0);
    List<Point> points = new ArrayList<>();
    version
        .values()
        .forEach(
            (name, value) -> {
              Matcher matcher = TEMPERATURE.matcher(name);
              if (matcher.matches()
                  && matcher.group(1).equals(kind)
                  && Integer.parseInt(matcher.group(3)) == most) {
                points.add(Point.of(Double.parseDouble(matcher.group(2)), value));
              }
            });
    points.sort((a, b) -> Double.compare(a.x(), b.x()));
    return points;
  }

  private static void table(Page page, RunData run) {
    page.table(
        Table.of(run.rejection)
            .text("version", LabelledMetrics::label)
            .number("prompts", Format.NUMBER, version -> version.get("rejection/all/prompts"))
            .number("K", Format.NUMBER, RejectionSections::samples)
            .number("mean", Format.NUMBER, version -> version.get("rejection/all/mean"))
            .number("median of K", Format.NUMBER, version -> ofAll(version, "median"))
            .number("best of K", Format.NUMBER, version -> ofAll(version, "max"))
            .number(
                "best temperature, helpfulness",
                Format.NUMBER,
                version -> version.get("rejection/helpfulness/best-temperature"))
            .number(
                "best temperature, safety",
                Format.NUMBER,
                version -> version.get("rejection/safety/best-temperature"))
            .number("bag", Format.NUMBER, version -> version.get("bag/entries"))
            .number("learned from", Format.NUMBER, version -> version.get("bag/selected"))
            .number("loss", Format.NUMBER, version -> version.get("loss")));
  }

  /** K: the number of samples of a prompt. */
  private static int samples(LabelledMetrics version) {
    return points(version, "all", "max").size();
  }

  /** A statistic of all K samples. */
  private static double ofAll(LabelledMetrics version, String statistic) {
    return version.get("rejection/all/%s/k=%d".formatted(statistic, samples(version)));
  }
}
