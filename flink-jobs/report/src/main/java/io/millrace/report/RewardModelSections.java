package io.millrace.report;

import io.millrace.model.reward.Reliability;
import io.millrace.report.RunData.Curve;
import io.millrace.report.RunData.Labelled;
import io.millrace.report.chart.BarChart;
import io.millrace.report.chart.Format;
import io.millrace.report.chart.LineChart;
import io.millrace.report.chart.Page;
import io.millrace.report.chart.Point;
import io.millrace.report.chart.Series;
import io.millrace.report.chart.Table;
import io.millrace.schemas.Rating;
import io.millrace.schemas.TrainingMetrics;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** How well the reward models know what annotators prefer. */
final class RewardModelSections {

  private static final List<String> OBJECTIVES = List.of("helpfulness", "safety");

  private RewardModelSections() {}

  static void add(Page page, RunData run) {
    if (run.rewardModels.isEmpty() && run.helpfulness.isEmpty() && run.safety.isEmpty()) {
      return;
    }
    page.section("Reward models")
        .text(
            "Share of judgments in which a reward model scores the preferred response higher; each"
                + " judgment was scored before it was learned from.");
    byRating(page, run);
    trend(page, run);
    reliability(page, run);
    page.add(table(run).html());
  }

  private static void byRating(Page page, RunData run) {
    if (run.rewardModels.isEmpty()) {
      return;
    }
    List<String> figures = new ArrayList<>();
    for (String objective : OBJECTIVES) {
      List<Labelled> models =
          run.rewardModels.stream().filter(m -> m.has(objective + "/accuracy/all")).toList();
      List<String> ratings = new ArrayList<>();
      for (Rating rating : Rating.values()) {
        ratings.add(shortName(rating));
      }
      ratings.add("all");
      BarChart chart =
          new BarChart("Accuracy by rating, " + objective, "share of judgments", ratings)
              .format(Format.PERCENT)
              .ordered()
              .yTo(1)
              .rule(0.5)
              .note("The dashed line is a coin. People themselves disagree on the close ones.");
      for (Labelled model : models) {
        List<BarChart.Bar> bars = new ArrayList<>();
        Arrays.stream(Rating.values())
            .forEach(r -> bars.add(BarChart.Bar.of(model.get(objective + "/accuracy/" + r))));
        bars.add(BarChart.Bar.of(model.get(objective + "/accuracy/all")));
        chart.add(model.label(), bars);
      }
      figures.add(chart.html());
    }
    page.figures(figures.toArray(String[]::new));
  }

  static String shortName(Rating rating) {
    return switch (rating) {
      case SIGNIFICANTLY_BETTER -> "significantly";
      case BETTER -> "better";
      case SLIGHTLY_BETTER -> "slightly";
      case NEGLIGIBLY_BETTER_OR_UNSURE -> "negligibly";
    };
  }

  /** Accuracy against the amount of data, as Llama 2's figure 6. */
  private static void trend(Page page, RunData run) {
    page.figures(
        trend("Accuracy as judgments come, helpfulness", run.helpfulness),
        trend("Accuracy as judgments come, safety", run.safety),
        heldOut(run));
  }

  private static String trend(String title, List<Curve> curves) {
    LineChart chart =
        new LineChart(title, "judgments learned from", "share so far")
            .format(Format.NUMBER, Format.PERCENT)
            .ordered();
    for (Curve curve : curves) {
      chart.add(
          Series.of(
              curve.label(),
              curve.points().stream().map(RewardModelSections::accuracySoFar).toList()));
    }
    return chart.html();
  }

  private static Point accuracySoFar(TrainingMetrics metrics) {
    return Point.of(
        metrics.getMetrics().getOrDefault("learned", Double.NaN),
        metrics.getMetrics().getOrDefault("accuracy/all", Double.NaN));
  }

  /** On judgments that are held out for good, from the job evaluation. */
  private static String heldOut(RunData run) {
    LineChart chart =
        new LineChart("Accuracy on held-out judgments, by data", "judgments learned from", "share")
            .format(Format.NUMBER, Format.PERCENT);
    for (String objective : OBJECTIVES) {
      String prefix = "reward_model/" + objective + "/";
      chart.add(
          Series.of(
              objective,
              run.heldOutRewardModels.stream()
                  .filter(model -> model.has(prefix + "accuracy/all"))
                  .map(
                      model ->
                          Point.of(
                              model.get(prefix + "judgments"), model.get(prefix + "accuracy/all")))
                  .toList()));
    }
    return chart.html();
  }

  private static void reliability(Page page, RunData run) {
    LineChart chart =
        new LineChart("Reliability of the last reward models", "confidence", "share right")
            .format(Format.PERCENT, Format.PERCENT)
            .yFrom(0.5, 1)
            .note(
                "σ of the difference of the scores, against how often the higher one was"
                    + " preferred.");
    for (String objective : OBJECTIVES) {
      List<Labelled> models =
          run.rewardModels.stream().filter(m -> m.has(objective + "/calibration/ece")).toList();
      if (!models.isEmpty()) {
        List<Point> points = new ArrayList<>();
        for (int bin = 0; bin < Reliability.BINS; bin++) {
          String name = "%s/calibration/bin%d/".formatted(objective, bin);
          points.add(
              Point.of(
                  models.getLast().get(name + "confidence"),
                  models.getLast().get(name + "accuracy")));
        }
        chart.add(Series.of(objective, points));
      }
    }
    if (!chart.isEmpty()) {
      chart.add(Series.reference("as sure as right", List.of(Point.of(0.5, 0.5), Point.of(1, 1))));
    }
    page.figures(chart.html());
  }

  private static Table table(RunData run) {
    Table table =
        new Table(
            List.of(
                "version",
                "objective",
                "judgments",
                "accuracy",
                "Brier",
                "calibration error",
                "unsafe: precision",
                "unsafe: recall"));
    for (Labelled model : run.rewardModels) {
      for (String objective : OBJECTIVES) {
        if (model.has(objective + "/accuracy/all")) {
          table.row(
              model.label(),
              objective,
              Format.NUMBER.of(model.get(objective + "/judgments")),
              Format.PERCENT.of(model.get(objective + "/accuracy/all")),
              Format.NUMBER.of(model.get(objective + "/calibration/brier")),
              Format.NUMBER.of(model.get(objective + "/calibration/ece")),
              Format.PERCENT.of(model.get(objective + "/safety_labels/precision")),
              Format.PERCENT.of(model.get(objective + "/safety_labels/recall")));
        }
      }
    }
    return table;
  }

  /** An objective as the figures' names have it. */
  static String name(Enum<?> objective) {
    return objective.name().toLowerCase(Locale.ROOT);
  }
}
