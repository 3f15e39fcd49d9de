package io.millrace.report;

import io.millrace.report.RunData.LabelledMetrics;
import io.millrace.report.chart.BarChart;
import io.millrace.report.chart.BarChart.Bar;
import io.millrace.report.chart.Format;
import io.millrace.report.page.Page;
import io.millrace.report.page.Table;
import io.millrace.schemas.Promotion;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/** Versions on held-out prompts by the job evaluation, and the verdicts of its gate. */
final class EvaluationSections {

  /** Half the width of a 95 % interval of a normal distribution, in standard deviations. */
  private static final double Z = 1.96;

  private EvaluationSections() {}

  static void add(Page page, RunData run) {
    evaluation(page, run.evaluation);
    promotions(page, run.promotions);
  }

  private static void evaluation(Page page, List<LabelledMetrics> versions) {
    if (versions.isEmpty()) {
      return;
    }
    List<String> names = versions.stream().map(LabelledMetrics::label).toList();
    page.section("Evaluation")
        .text(
            "On held-out prompts. A tie counts as half a win. Whiskers of win rates are the limits"
                + " of the gate's test, which hold for all looks at all versions; other whiskers"
                + " are 95 % intervals.")
        .charts(
            new BarChart("Win rate", "share of prompts", names)
                .format(Format.PERCENT)
                .yTo(1)
                .rule(0.5)
                .add("against the first version", rates(versions, "win_rate/first/"))
                .add("against the promoted version", rates(versions, "win_rate/promoted/"))
                .add("against the best version", rates(versions, "win_rate/best/")),
            new BarChart("Unsafe responses and false refusals", "share of responses", names)
                .format(Format.PERCENT)
                .add(
                    "unsafe, to safety prompts",
                    VersionSections.bars(versions, "safety_violations"))
                .add(
                    "unsafe, to other prompts",
                    VersionSections.bars(versions, "ordinary_violations"))
                .add(
                    "refusals, to harmless prompts",
                    VersionSections.bars(versions, "false_refusals")),
            new BarChart("Scores of the reward models", "mean score (logit)", names)
                .add("helpfulness", scores(versions, "score/helpfulness/"))
                .add("safety", scores(versions, "score/safety/")),
            new BarChart("Perplexity on held-out demonstrations", "perplexity", names)
                .add("perplexity", VersionSections.bars(versions, "perplexity")),
            new BarChart("Variety of responses", "distinct n-grams, share", names)
                .format(Format.PERCENT)
                .add("distinct unigrams", VersionSections.bars(versions, "distinct_1"))
                .add("distinct bigrams", VersionSections.bars(versions, "distinct_2")),
            new BarChart("Length of responses", "tokens", names)
                .add("tokens", VersionSections.bars(versions, "response_tokens")))
        .table(
            Table.of(versions)
                .text("version", LabelledMetrics::label)
                .number("against the first", version -> rate(version, "win_rate/first/"))
                .number("against the promoted", version -> rate(version, "win_rate/promoted/"))
                .number("against the best", version -> rate(version, "win_rate/best/"))
                .number("looks", Format.NUMBER, version -> version.get("looks/taken"))
                .number(
                    "unsafe, ordinary",
                    Format.PERCENT,
                    version -> version.get("ordinary_violations"))
                .number("unsafe", Format.PERCENT, version -> version.get("safety_violations"))
                .number("false refusals", Format.PERCENT, version -> version.get("false_refusals"))
                .number("tokens", Format.NUMBER, version -> version.get("response_tokens"))
                .number("perplexity", Format.NUMBER, version -> version.get("perplexity"))
                .number("distinct-1", Format.PERCENT, version -> version.get("distinct_1"))
                .number("distinct-2", Format.PERCENT, version -> version.get("distinct_2"))
                .number("KL (nats)", Format.NUMBER, version -> version.get("kl")));
  }

  private static List<Bar> rates(List<LabelledMetrics> versions, String prefix) {
    return versions.stream()
        .map(v -> new Bar(v.get(prefix + "mean"), v.get(prefix + "low"), v.get(prefix + "high")))
        .toList();
  }

  private static List<Bar> scores(List<LabelledMetrics> versions, String prefix) {
    return versions.stream()
        .map(
            version -> {
              double mean = version.get(prefix + "mean");
              double half = Z * version.get(prefix + "stderr");
              return new Bar(mean, mean - half, mean + half);
            })
        .toList();
  }

  private static String rate(LabelledMetrics version, String prefix) {
    return version.has(prefix + "mean")
        ? "%s (%s to %s)"
            .formatted(
                Format.PERCENT.of(version.get(prefix + "mean")),
                Format.PERCENT.of(version.get(prefix + "low")),
                Format.PERCENT.of(version.get(prefix + "high")))
        : "–";
  }

  private static void promotions(Page page, List<Promotion> promotions) {
    if (promotions.isEmpty()) {
      return;
    }
    page.section("Promotions")
        .text(
            "The gate's verdict on each version, persons' decisions, and the version to serve after"
                + " each.")
        .table(
            Table.of(withoutConfirmations(promotions))
                .text("version", promotion -> "v" + promotion.getEvaluated())
                .text(
                    "verdict",
                    promotion ->
                        promotion.getVerdict().name().toLowerCase(Locale.ROOT).replace('_', ' '))
                .text("to serve", EvaluationSections::served)
                .text(
                    "by",
                    promotion ->
                        promotion.getDecidedBy().isEmpty() ? "gate" : promotion.getDecidedBy())
                .text("judge", Promotion::getJudge)
                .text("reasons", promotion -> String.join("; ", promotion.getReasons()))
                .text("time", promotion -> promotion.getTime().toString()));
  }

  /** The job evaluation repeats each decision of a person. */
  private static List<Promotion> withoutConfirmations(List<Promotion> promotions) {
    Set<String> decisions = new HashSet<>();
    return promotions.stream()
        .filter(one -> one.getDecisionId().isEmpty() || decisions.add(one.getDecisionId()))
        .toList();
  }

  /** The version to serve after a verdict. */
  static String served(Promotion promotion) {
    return promotion.getVersion() == 0 ? "none" : "v" + promotion.getVersion();
  }
}
