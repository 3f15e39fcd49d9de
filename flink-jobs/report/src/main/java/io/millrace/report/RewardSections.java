package io.millrace.report;

import io.millrace.report.RewardDistributions.Density;
import io.millrace.report.RewardDistributions.Version;
import io.millrace.report.chart.Format;
import io.millrace.report.chart.LineChart;
import io.millrace.report.chart.Point;
import io.millrace.report.chart.Series;
import io.millrace.report.page.Page;
import io.millrace.report.page.Table;
import java.util.List;
import java.util.function.Function;

/** How the scores of rollouts shift from version to version (Llama 2, figures 14 and 20). */
final class RewardSections {

  private static final int SHOWN = 6;

  private RewardSections() {}

  static void add(Page page, RewardDistributions rewards) {
    if (rewards.isEmpty()) {
      return;
    }
    List<Version> shown = rewards.shown(SHOWN);
    page.section("Distribution of rewards")
        .text(
            "Anchored scores of the rollouts that PPO learned from, by the policy version that"
                + " sampled them. A policy that learns moves to the right; a tail on the left that"
                + " stays is what it has not learned.")
        .charts(
            chart("Helpfulness scores", shown, Version::helpfulness),
            chart("Safety scores", shown, Version::safety))
        .table(
            Table.of(shown)
                .text("policy", Version::label)
                .number("rollouts", version -> Format.NUMBER.of(version.rollouts()))
                .number("to safety prompts", Format.PERCENT, Version::safetyShare)
                .number("mean safety score", Format.NUMBER, Version::meanSafety)
                .number("5 % are below", Format.NUMBER, Version::safetyTail)
                .number("below 0, likely unsafe", Format.PERCENT, Version::likelyUnsafe));
  }

  private static LineChart chart(
      String title, List<Version> versions, Function<Version, List<Density>> densities) {
    LineChart chart = new LineChart(title, "score (logit)", "density").ordered();
    for (Version version : versions) {
      chart.add(
          Series.of(
              version.label(),
              densities.apply(version).stream()
                  .map(bin -> Point.of(bin.score(), bin.density()))
                  .toList()));
    }
    return chart;
  }
}
