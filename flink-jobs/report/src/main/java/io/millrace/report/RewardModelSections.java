package io.millrace.report;

import io.millrace.demo.loop.RatingNames;
import io.millrace.model.reward.Reliability;
import io.millrace.report.RunData.Curve;
import io.millrace.report.RunData.LabelledMetrics;
import io.millrace.report.chart.BarChart;
import io.millrace.report.chart.Chart;
import io.millrace.report.chart.Format;
import io.millrace.report.chart.LineChart;
import io.millrace.report.chart.Point;
import io.millrace.report.chart.Series;
import io.millrace.report.page.Page;
import io.millrace.report.page.Table;
import io.millrace.schemas.Rating;
import io.millrace.schemas.TrainingMetrics;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** The accuracy of the reward models. */
final class RewardModelSections {

  private static final List<String> OBJECTIVES = List.of("helpfulness", "safety");

  private RewardModelSections() {}

  static void add(Page page, RunData run) {
    if (run.rewardModels.isEmpty() && run.helpfulness.isEmpty() && run.safety.isEmpty()) {
      return;
    }
    page.section("Reward models")
        .text(
            "Accuracy is the share of judgments in which a reward model scores the preferred"
                + " response higher. Each judgment was scored before the model learned from it.");
    byRating(page, run);
    trend(page, run);
    reliability(page, run);
    table(page, run);
  }

  private static void byRating(Page page, RunData run) {
    List<Chart> charts = new ArrayList<>();
    for (String objective : OBJECTIVES) {
      List<LabelledMetrics> models =
          run.rewardModels.stream().filter(m -> m.has(objective + "/accuracy/all")).toList();
      List<String> ratings = new ArrayList<>();
      for (Rating rating : Rating.values()) {
        ratings.add(RatingNames.of(rating));
      }
      ratings.add("all");
      BarChart chart =
          new BarChart("Accuracy by rating, " + objective, "share of judgments", ratings)
              .format(Format.PERCENT)
              .ordered()
              .yTo(1)
              .rule(0.5)
              .note("The dashed line is chance. People disagree on close pairs.");
      for (LabelledMetrics model : models) {
        List<BarChart.Bar> bars = new ArrayList<>();
        Arrays.stream(Rating.values())
            .forEach(r -> bars.add(BarChart.Bar.of(model.get(objective + "/accuracy/" + r))));
        bars.add(BarChart.Bar.of(model.get(objective + "/accuracy/all")));
        chart.add(model.label(), bars);
      }
      charts.add(chart);
    }
    page.charts(charts);
  }

  /** Accuracy by amount of data (Llama 2, arXiv 2307.09288, figure 6). */
  private static void trend(Page page, RunData run) {
    page.charts(
        trend("Accuracy by data, helpfulness", run.helpfulness),
        trend("Accuracy by data, safety", run.safety),
        heldOut(run));
  }

  private static Chart trend(String title, List<Curve> curves) {
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
    return chart;
  }

  private static Point accuracySoFar(TrainingMetrics metrics) {
    return Point.of(
        metrics.getMetrics().getOrDefault("learned", Double.NaN),
        metrics.getMetrics().getOrDefault("accuracy/all", Double.NaN));
  }

  /** Accuracy on held-out judgments, from the job evaluation. */
  private static Chart heldOut(RunData run) {
    LineChart chart =
        new LineChart("Accuracy by data, held-out judgments", "judgments learned from", "share")
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
    return chart;
  }

  private static void reliability(Page page, RunData run) {
    LineChart chart =
        new LineChart("Reliability of the last reward models", "confidence", "share right")
            .format(Format.PERCENT, Format.PERCENT)
            .yFrom(0.5, 1)
            .note(
                "Confidence is σ of the difference of the two scores. The share right is how often"
                    + " people preferred the response with the higher score.");
    for (String objective : OBJECTIVES) {
      List<LabelledMetrics> models =
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
      chart.add(
          Series.reference("perfectly calibrated", List.of(Point.of(0.5, 0.5), Point.of(1, 1))));
    }
    page.charts(chart);
  }

  /** The metrics of a reward model. */
  private record Model(LabelledMetrics version, String objective) {
    double get(String metric) {
      return version.get(objective + "/" + metric);
    }
  }

  private static void table(Page page, RunData run) {
    List<Model> models = new ArrayList<>();
    for (LabelledMetrics version : run.rewardModels) {
      for (String objective : OBJECTIVES) {
        if (version.has(objective + "/accuracy/all")) {
          models.add(new Model(version, objective));
        }
      }
    }
    page.table(
        Table.of(models)
            .text("version", model -> model.version().label())
            .text("objective", Model::objective)
            .number("judgments", Format.NUMBER, model -> model.get("judgments"))
            .number("accuracy", Format.PERCENT, model -> model.get("accuracy/all"))
            .number("Brier score", Format.NUMBER, model -> model.get("calibration/brier"))
            .number("calibration error", Format.NUMBER, model -> model.get("calibration/ece"))
            .number(
                "unsafe: precision", Format.PERCENT, model -> model.get("safety_labels/precision"))
            .number("unsafe: recall", Format.PERCENT, model -> model.get("safety_labels/recall")));
  }

  /** The name of an objective in the names of metrics. */
  static String name(Enum<?> objective) {
    return objective.name().toLowerCase(Locale.ROOT);
  }
}
