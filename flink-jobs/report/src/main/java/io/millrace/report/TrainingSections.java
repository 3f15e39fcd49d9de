package io.millrace.report;

import io.millrace.report.RunData.Curve;
import io.millrace.report.chart.Chart;
import io.millrace.report.chart.Format;
import io.millrace.report.chart.LineChart;
import io.millrace.report.chart.Point;
import io.millrace.report.chart.Series;
import io.millrace.report.page.Page;
import java.util.List;

/** Training curves of PPO and of supervised fine-tuning. */
final class TrainingSections {

  private TrainingSections() {}

  static void add(Page page, RunData run) {
    if (!run.ppo.isEmpty()) {
      Curves curves = new Curves("iteration", run.ppo);
      page.section("PPO")
          .text(
              "One point per iteration. The reward is the piecewise one, before whitening and"
                  + " without the KL penalty.")
          .charts(
              curves.chart("Reward", "reward (logit)", "objective/scores"),
              curves.chart("KL to the reference policy", "nats per response", "objective/kl"),
              curves.chart("Entropy", "nats per token", "policy/entropy_avg"),
              curves.shareChart("Clipped ratios", "share of tokens", "policy/clipfrac_avg"),
              curves.chart("Length of responses", "tokens", "val/response_tokens"),
              curves.chart("Staleness of rollouts", "versions", "stream/policy_lag_versions"));
    }
    if (!run.supervised.isEmpty()) {
      Curves curves = new Curves("update", run.supervised);
      page.section("Supervised fine-tuning")
          .charts(
              curves.chart("Loss", "nats per learned token", "loss"),
              curves.chart("Learning rate", "learning rate", "lr"),
              curves.chart("Gradient norm", "norm before clipping", "gradient_norm"));
    }
  }

  /**
   * The curves of a job.
   *
   * @param step the name of a step
   */
  private record Curves(String step, List<Curve> curves) {

    Chart chart(String title, String yLabel, String metric) {
      return draw(new LineChart(title, step, yLabel), metric);
    }

    Chart shareChart(String title, String yLabel, String metric) {
      return draw(
          new LineChart(title, step, yLabel).format(Format.NUMBER, Format.PERCENT).yFrom(0, 0),
          metric);
    }

    private Chart draw(LineChart chart, String metric) {
      for (Curve curve : curves) {
        chart.add(
            Series.of(
                curve.label(),
                curve.points().stream()
                    .map(
                        point ->
                            Point.of(
                                point.getStep(),
                                point.getMetrics().getOrDefault(metric, Double.NaN)))
                    .toList()));
      }
      return chart;
    }
  }
}
