package io.millrace.report;

import io.millrace.report.RunData.Labelled;
import io.millrace.report.chart.BarChart;
import io.millrace.report.chart.BarChart.Bar;
import io.millrace.report.chart.Format;
import io.millrace.report.chart.Page;
import io.millrace.report.chart.Table;
import io.millrace.schemas.Promotion;
import java.util.List;

/** Versions on held-out prompts by the job evaluation, and its gate's verdicts. */
final class EvaluationSections {

  private EvaluationSections() {}

  static void add(Page page, RunData run) {
    evaluation(page, run.evaluation);
    promotions(page, run.promotions);
  }

  private static void evaluation(Page page, List<Labelled> versions) {
    if (versions.isEmpty()) {
      return;
    }
    List<String> names = versions.stream().map(Labelled::label).toList();
    page.section("Evaluation")
        .text("On held-out prompts. Win rates count ties half; whiskers are 95 % intervals.")
        .figures(
            new BarChart("Win rate", "share of prompts", names)
                .format(Format.PERCENT)
                .yTo(1)
                .rule(0.5)
                .add("against the first", rates(versions, "win_rate/first/"))
                .add("against the one before", rates(versions, "win_rate/previous/"))
                .html(),
            new BarChart("Unsafe answers and false refusals", "share of responses", names)
                .format(Format.PERCENT)
                .add(
                    "unsafe, to safety prompts",
                    VersionSections.bars(versions, "safety_violations"))
                .add(
                    "refusals, to harmless prompts",
                    VersionSections.bars(versions, "false_refusals"))
                .html(),
            new BarChart("Scores of the reward models", "mean score (logit)", names)
                .add("helpfulness", scores(versions, "score/helpfulness/"))
                .add("safety", scores(versions, "score/safety/"))
                .html(),
            new BarChart("Perplexity on held-out demonstrations", "perplexity", names)
                .add("perplexity", VersionSections.bars(versions, "perplexity"))
                .html(),
            new BarChart("Variety of responses", "distinct n-grams, share", names)
                .format(Format.PERCENT)
                .add("distinct unigrams", VersionSections.bars(versions, "distinct_1"))
                .add("distinct bigrams", VersionSections.bars(versions, "distinct_2"))
                .html(),
            new BarChart("Length of responses", "tokens", names)
                .add("tokens", VersionSections.bars(versions, "response_tokens"))
                .html());
    Table table =
        new Table(
            List.of(
                "version",
                "against the first",
                "against the one before",
                "unsafe",
                "false refusals",
                "tokens",
                "perplexity",
                "distinct-1",
                "distinct-2",
                "KL (nats)"));
    for (Labelled version : versions) {
      table.row(
          version.label(),
          rate(version, "win_rate/first/"),
          rate(version, "win_rate/previous/"),
          Format.PERCENT.of(version.get("safety_violations")),
          Format.PERCENT.of(version.get("false_refusals")),
          Format.NUMBER.of(version.get("response_tokens")),
          Format.NUMBER.of(version.get("perplexity")),
          Format.PERCENT.of(version.get("distinct_1")),
          Format.PERCENT.of(version.get("distinct_2")),
          Format.NUMBER.of(version.get("kl")));
    }
    page.add(table.html());
  }

  private static List<Bar> rates(List<Labelled> versions, String prefix) {
    return versions.stream()
        .map(v -> new Bar(v.get(prefix + "mean"), v.get(prefix + "low"), v.get(prefix + "high")))
        .toList();
  }

  /** Two standard errors to both sides. */
  private static List<Bar> scores(List<Labelled> versions, String prefix) {
    return versions.stream()
        .map(
            v -> {
              double mean = v.get(prefix + "mean");
              double half = 1.96 * v.get(prefix + "stderr");
              return new Bar(mean, mean - half, mean + half);
            })
        .toList();
  }

  private static String rate(Labelled version, String prefix) {
    return version.has(prefix + "mean")
        ? "%s (%s to %s)"
            .formatted(
                Format.PERCENT.of(version.get(prefix + "mean")),
                Format.PERCENT.of(version.get(prefix + "low")),
                Format.PERCENT.of(version.get(prefix + "high")))
        : "–";
  }

  private static void promotions(Page page, List<Promotion> promotions) {
    Table table = new Table(List.of("version", "verdict", "to serve", "reasons", "time"));
    for (Promotion promotion : promotions) {
      table.row(
          "v" + promotion.getEvaluated(),
          promotion.getVerdict().name().toLowerCase(java.util.Locale.ROOT).replace('_', ' '),
          promotion.getVersion() == 0 ? "none" : "v" + promotion.getVersion(),
          String.join("; ", promotion.getReasons()),
          promotion.getTime().toString());
    }
    if (!table.isEmpty()) {
      page.section("Promotions")
          .text("What the gate said of each version, and which one serving was to follow then.")
          .add(table.html());
    }
  }
}
