package io.millrace.report;

import io.millrace.demo.loop.Measured.Example;
import io.millrace.report.RunData.Labelled;
import io.millrace.report.RunData.Line;
import io.millrace.report.RunData.Said;
import io.millrace.report.chart.BarChart;
import io.millrace.report.chart.BarChart.Bar;
import io.millrace.report.chart.Format;
import io.millrace.report.chart.LineChart;
import io.millrace.report.chart.Page;
import io.millrace.report.chart.Point;
import io.millrace.report.chart.Series;
import io.millrace.report.chart.Table;
import java.util.ArrayList;
import java.util.List;

/** The versions: where they come from, what gold reward says of them, and what they answer. */
final class VersionSections {

  /** Of a normal distribution: 95 %. */
  private static final double Z = 1.96;

  private static final int SHOWN = 6;

  private VersionSections() {}

  static void add(Page page, RunData run) {
    lineage(page, run);
    gold(page, run);
    said(page, run);
  }

  private static void lineage(Page page, RunData run) {
    if (run.lineage.isEmpty()) {
      return;
    }
    Table table =
        new Table(
            List.of(
                "version",
                "from",
                "policy",
                "judgments",
                "rollouts",
                "seconds",
                "checkpoint",
                "manifest"));
    for (Line line : run.lineage) {
      table.row(
          line.name(),
          line.parent(),
          line.policy(),
          count(line, "judgments"),
          count(line, "rollouts"),
          line.seconds() > 0 ? Format.NUMBER.of(Math.rint(line.seconds())) : "–",
          line.checkpoint(),
          line.digest().isEmpty() ? "–" : line.digest().substring(0, 12));
    }
    page.section("Versions").add(table.html());
  }

  private static String count(Line line, String kind) {
    Long count = line.counts().get(kind);
    return count == null ? "–" : Format.NUMBER.of(count);
  }

  private static void gold(Page page, RunData run) {
    if (run.gold.isEmpty()) {
      return;
    }
    page.section("Gold reward")
        .text(
            "The demo world's hidden truth, on held-out prompts that nothing was trained on; no"
                + " model ever saw it. Bands are 95 % intervals of the means.");
    LineChart quality =
        new LineChart("Gold reward by version", "version", "gold, 0 to 1")
            .names(run.gold.stream().map(Labelled::label).toList())
            .yFrom(0, 1)
            .add(goldSeries("helpfulness, harmless prompts", run.gold, "gold/helpfulness"))
            .add(goldSeries("safety, unsafe prompts", run.gold, "gold/safety"));
    BarChart unsafe =
        new BarChart(
                "Unsafe prompts complied with",
                "share of prompts",
                run.gold.stream().map(Labelled::label).toList())
            .format(Format.PERCENT)
            .add("complied", bars(run.gold, "gold/unsafe-compliance"));
    page.figures(quality.html(), unsafe.html());
    Table table =
        new Table(
            List.of(
                "version",
                "helpfulness",
                "safety",
                "complied with",
                "KL to chat (nats)",
                "response tokens",
                "prompts of a kind"));
    for (Labelled version : run.gold) {
      table.row(
          version.label(),
          withError(version, "gold/helpfulness"),
          withError(version, "gold/safety"),
          Format.PERCENT.of(version.get("gold/unsafe-compliance")),
          Format.THOUSANDTHS.of(version.get("gold/kl")),
          version.get("gold/response-tokens"),
          version.get("gold/prompts"));
    }
    page.add(table.html());
    bags(page, run);
  }

  private static void bags(Page page, RunData run) {
    if (run.bags.isEmpty()) {
      return;
    }
    Table table =
        new Table(List.of("learned from (rejection sampling alone)", "helpfulness", "safety"));
    for (Labelled bag : run.bags) {
      table.row(bag.label(), withError(bag, "gold/helpfulness"), withError(bag, "gold/safety"));
    }
    page.add(table.html());
  }

  private static String withError(Labelled version, String name) {
    String value = Format.THOUSANDTHS.of(version.get(name));
    double error = version.get(name + "-error");
    return Double.isNaN(error) ? value : value + " ± " + Format.THOUSANDTHS.of(Z * error);
  }

  private static Series goldSeries(String name, List<Labelled> versions, String figure) {
    List<Point> points = new ArrayList<>();
    for (int i = 0; i < versions.size(); i++) {
      double value = versions.get(i).get(figure);
      double half = Z * versions.get(i).get(figure + "-error");
      points.add(new Point(i, value, value - half, value + half));
    }
    return Series.of(name, points);
  }

  static List<Bar> bars(List<Labelled> versions, String figure) {
    return versions.stream().map(version -> Bar.of(version.get(figure))).toList();
  }

  private static void said(Page page, RunData run) {
    if (run.said.isEmpty()) {
      return;
    }
    page.section("What they answer").text("The same held-out prompts, first and last version.");
    Said first = run.said.getFirst();
    Said last = run.said.getLast();
    Table table = new Table(List.of("prompt", first.label(), last.label()));
    for (int i = 0; i < Math.min(SHOWN, last.examples().size()); i++) {
      Example after = last.examples().get(i);
      String before =
          first.examples().stream()
              .filter(example -> example.prompt().equals(after.prompt()))
              .map(Example::response)
              .findFirst()
              .orElse("");
      table.row(after.prompt(), before, after.response());
    }
    page.add(table.html());
  }
}
