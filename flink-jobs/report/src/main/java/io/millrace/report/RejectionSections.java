package io.millrace.report;

import io.millrace.report.RunData.Labelled;
import io.millrace.report.chart.Format;
import io.millrace.report.chart.LineChart;
import io.millrace.report.chart.Page;
import io.millrace.report.chart.Point;
import io.millrace.report.chart.Series;
import io.millrace.report.chart.Table;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What K samples bring, and at which temperature (Llama 2, figures 7 and 8). */
final class RejectionSections {

  private static final String REWARD = "reward (logit)";
  private static final Pattern TEMPERATURE =
      Pattern.compile("rejection/temperature/([0-9.]+)/max/k=(\\d+)");

  private RejectionSections() {}

  static void add(Page page, RunData run) {
    if (run.rejection.isEmpty()) {
      return;
    }
    page.section("Rejection sampling")
        .text(
            "K responses to each prompt, scored by the current reward models; the best are learned"
                + " from. Figures are means over prompts of what k of the K would have brought.");
    page.figures(
        lastVersion(run.rejection.getLast()),
        byVersion(run, "max", "Best of k samples, by version"),
        gap(run),
        temperatures(run),
        byKind(run.rejection.getLast()));
    page.add(table(run).html());
  }

  private static String lastVersion(Labelled version) {
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
                    .toList()))
        .html();
  }

  private static String byKind(Labelled version) {
    LineChart chart =
        new LineChart(
                "Best and median by kind of prompt, " + version.label(),
                "k, samples of a prompt",
                REWARD)
            .logarithmicX();
    for (String kind : List.of("helpfulness", "safety")) {
      chart.add(Series.of(kind + ", max", points(version, kind, "max")));
      chart.add(Series.dashed(kind + ", median", points(version, kind, "median")));
    }
    return chart.html();
  }

  private static String byVersion(RunData run, String statistic, String title) {
    LineChart chart =
        new LineChart(title, "k, samples of a prompt", REWARD).logarithmicX().ordered();
    for (Labelled version : run.rejection) {
      chart.add(Series.of(version.label(), points(version, "all", statistic)));
    }
    return chart.html();
  }

  private static String gap(RunData run) {
    LineChart chart =
        new LineChart(
                "What sampling can gain: best of k above the median of all",
                "k, samples of a prompt",
                "difference of rewards")
            .logarithmicX()
            .ordered();
    for (Labelled version : run.rejection) {
      List<Point> points = new ArrayList<>();
      List<Point> medians = points(version, "all", "median");
      for (Point max : points(version, "all", "max")) {
        points.add(Point.of(max.x(), max.y() - medians.getLast().y()));
      }
      chart.add(Series.of(version.label(), points));
    }
    return chart.html();
  }

  private static List<Point> points(Labelled version, String kind, String statistic) {
    List<Point> points = new ArrayList<>();
    for (int k = 1; ; k++) {
      String name = "rejection/%s/%s/k=%d".formatted(kind, statistic, k);
      if (!version.has(name)) {
        return points;
      }
      points.add(Point.of(k, version.get(name)));
    }
  }

  /** The best of as many samples at each temperature. */
  private static String temperatures(RunData run) {
    LineChart chart =
        new LineChart("Best reward by temperature", "sampling temperature", REWARD)
            .ordered()
            .note("The best of as many samples at each temperature.");
    for (Labelled version : run.rejection) {
      chart.add(Series.of(version.label(), temperatures(version)));
    }
    return chart.html();
  }

  private static List<Point> temperatures(Labelled version) {
    int most =
        version.figures().keySet().stream()
            .map(TEMPERATURE::matcher)
            .filter(Matcher::matches)
            .mapToInt(matcher -> Integer.parseInt(matcher.group(2)))
            .max()
            .orElse(0);
    List<Point> points = new ArrayList<>();
    version
        .figures()
        .forEach(
            (name, value) -> {
              Matcher matcher = TEMPERATURE.matcher(name);
              if (matcher.matches() && Integer.parseInt(matcher.group(2)) == most) {
                points.add(Point.of(Double.parseDouble(matcher.group(1)), value));
              }
            });
    points.sort((a, b) -> Double.compare(a.x(), b.x()));
    return points;
  }

  private static Table table(RunData run) {
    Table table =
        new Table(
            List.of(
                "version",
                "prompts",
                "K",
                "mean",
                "median of K",
                "best of K",
                "best temperature",
                "bag",
                "learned from",
                "loss"));
    for (Labelled version : run.rejection) {
      List<Point> max = points(version, "all", "max");
      int most = max.size();
      table.row(
          version.label(),
          Format.NUMBER.of(version.get("rejection/all/prompts")),
          most,
          Format.NUMBER.of(version.get("rejection/all/mean")),
          Format.NUMBER.of(version.get("rejection/all/median/k=" + most)),
          max.isEmpty() ? "–" : Format.NUMBER.of(max.getLast().y()),
          Format.NUMBER.of(version.get("rejection/best-temperature")),
          Format.NUMBER.of(version.get("bag/entries")),
          Format.NUMBER.of(version.get("bag/selected")),
          Format.NUMBER.of(version.get("loss")));
    }
    return table;
  }
}
