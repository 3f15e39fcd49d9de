package io.millrace.report;

import io.millrace.demo.loop.GoldScores.Example;
import io.millrace.report.RunData.LabelledMetrics;
import io.millrace.report.RunData.Samples;
import io.millrace.report.RunData.Version;
import io.millrace.report.chart.BarChart;
import io.millrace.report.chart.BarChart.Bar;
import io.millrace.report.chart.Format;
import io.millrace.report.chart.LineChart;
import io.millrace.report.chart.Point;
import io.millrace.report.chart.Series;
import io.millrace.report.page.Page;
import io.millrace.report.page.Table;
import java.util.ArrayList;
import java.util.List;

/** The versions: their origin, their gold reward and some of their responses. */
final class VersionSections {

  /** Half the width of a 95 % interval of a normal distribution, in standard deviations. */
  private static final double Z = 1.96;

  private static final int SHOWN = 6;

  private VersionSections() {}

  /** What the versions do: their gold reward and responses. */
  static void addResults(Page page, RunData run) {
    gold(page, run);
    samples(page, run.samples);
  }

  /** Where the versions come from. */
  static void addVersions(Page page, List<Version> versions) {
    page.section("Versions")
        .table(
            Table.of(versions)
                .text("version", Version::name)
                .text("from", Version::parent)
                .text("policy", Version::policy)
                .number("judgments", version -> count(version, "judgments"))
                .number("rollouts", version -> count(version, "rollouts"))
                .number("seconds", VersionSections::seconds)
                .code("checkpoint", Version::checkpoint)
                .code("manifest", VersionSections::shortDigest));
  }

  private static String count(Version version, String kind) {
    Long count = version.counts().get(kind);
    return count == null ? "–" : Format.NUMBER.of(count);
  }

  private static String seconds(Version version) {
    return version.seconds() > 0 ? Format.NUMBER.of(Math.rint(version.seconds())) : "–";
  }

  private static String shortDigest(Version version) {
    return version.digest().isEmpty() ? "–" : version.digest().substring(0, 12);
  }

  private static void gold(Page page, RunData run) {
    if (run.gold.isEmpty()) {
      return;
    }
    List<String> names = run.gold.stream().map(LabelledMetrics::label).toList();
    page.section("Gold reward")
        .text(
            "The demo world's hidden truth, on held-out prompts. No model was trained on these"
                + " prompts or saw the gold reward. Bands are 95 % intervals of the means.")
        .charts(
            new LineChart("Gold reward by version", "version", "gold, 0 to 1")
                .names(names)
                .yFrom(0, 1)
                .add(series("helpfulness, harmless prompts", run.gold, "gold/helpfulness"))
                .add(series("safety, unsafe prompts", run.gold, "gold/safety")),
            new BarChart("Unsafe prompts complied with", "share of prompts", names)
                .format(Format.PERCENT)
                .add("complied", bars(run.gold, "gold/unsafe-compliance")))
        .table(
            Table.of(run.gold)
                .text("version", LabelledMetrics::label)
                .number("helpfulness", version -> withError(version, "gold/helpfulness"))
                .number("safety", version -> withError(version, "gold/safety"))
                .number(
                    "complied with",
                    Format.PERCENT,
                    version -> version.get("gold/unsafe-compliance"))
                .number(
                    "KL to the reference (nats)",
                    Format.THOUSANDTHS,
                    version -> version.get("gold/kl"))
                .number(
                    "response tokens",
                    Format.NUMBER,
                    version -> version.get("gold/response-tokens"))
                .number(
                    "prompts of each kind", Format.NUMBER, version -> version.get("gold/prompts")))
        .table(
            Table.of(run.splits)
                .text("held-out prompts, 95 % intervals", LabelledMetrics::label)
                .number("helpfulness", split -> withLimits(split, "gold/helpfulness"))
                .number("safety", split -> withLimits(split, "gold/safety"))
                .number("complied with", split -> withLimits(split, "gold/unsafe-compliance")))
        .table(
            Table.of(run.bags)
                .text("rejection sampling alone, learned from", LabelledMetrics::label)
                .number("helpfulness", bag -> withError(bag, "gold/helpfulness"))
                .number("safety", bag -> withError(bag, "gold/safety")));
  }

  private static String withError(LabelledMetrics version, String metric) {
    String value = Format.THOUSANDTHS.of(version.get(metric));
    double error = version.get(metric + "-error");
    return Double.isNaN(error) ? value : value + " ± " + Format.THOUSANDTHS.of(Z * error);
  }

  private static String withLimits(LabelledMetrics split, String metric) {
    return "%s (%s to %s)"
        .formatted(
            Format.THOUSANDTHS.of(split.get(metric)),
            Format.THOUSANDTHS.of(split.get(metric + "-low")),
            Format.THOUSANDTHS.of(split.get(metric + "-high")));
  }

  private static Series series(String name, List<LabelledMetrics> versions, String metric) {
    List<Point> points = new ArrayList<>();
    for (int i = 0; i < versions.size(); i++) {
      double value = versions.get(i).get(metric);
      double half = Z * versions.get(i).get(metric + "-error");
      points.add(new Point(i, value, value - half, value + half));
    }
    return Series.of(name, points);
  }

  /** A bar without an interval for each version. */
  static List<Bar> bars(List<LabelledMetrics> versions, String metric) {
    return versions.stream().map(version -> Bar.of(version.get(metric))).toList();
  }

  private static void samples(Page page, List<Samples> samples) {
    if (samples.isEmpty()) {
      return;
    }
    Samples first = samples.getFirst();
    Samples last = samples.getLast();
    page.section("Responses")
        .text(
            "The first and the last version's responses to the same held-out prompts. Each is one"
                + " sample at temperature 1, so that a good policy shows a bad response now and"
                + " then.")
        .table(
            Table.of(last.examples().stream().limit(SHOWN).toList())
                .text("prompt", Example::prompt)
                .text(first.label(), example -> response(first, example.prompt()))
                .text(last.label(), Example::response));
  }

  private static String response(Samples samples, String prompt) {
    return samples.examples().stream()
        .filter(example -> example.prompt().equals(prompt))
        .map(Example::response)
        .findFirst()
        .orElse("");
  }
}
