package io.millrace.report;

import io.millrace.report.RunData.Curve;
import io.millrace.report.chart.Format;
import io.millrace.report.chart.LineChart;
import io.millrace.report.chart.Page;
import io.millrace.report.chart.Point;
import io.millrace.report.chart.Series;
import java.util.List;

/** Curves of what learns: PPO and supervised fine-tuning. */
final class TrainingSections {

  private TrainingSections() {}

  static void add(Page page, RunData run) {
    if (!run.ppo.isEmpty()) {
      Chart chart = new Chart("iteration", run.ppo);
      page.section("PPO")
          .text(
              "One point an iteration. The reward is the piecewise one, before whitening and KL"
                  + " penalty.")
          .figures(
              chart.of("Reward", "reward (logit)", "objective/scores"),
              chart.of("KL to the reference policy", "nats a response", "objective/kl"),
              chart.of("Entropy", "nats a token", "objective/entropy"),
              chart.ofShare("Clipped ratios", "share of tokens", "policy/clipfrac_avg"),
              chart.of("Length of responses", "tokens", "val/response_tokens"),
              chart.of("Staleness of rollouts", "versions", "stream/policy_lag_versions"));
    }
    if (!run.supervised.isEmpty()) {
      Chart chart = new Chart("update", run.supervised);
      page.section("Supervised fine-tuning")
          .figures(
              chart.of("Loss", "nats a learned token", "loss"),
              chart.of("Learning rate", "learning rate", "lr"),
              chart.of("Gradient norm", "norm before clipping", "gradient_norm"));
    }
  }

  /** Curves over a job's steps. */
  private record Chart(String step, List<Curve> curves) {

    String of(String title, String yLabel, String figure) {
      return draw(new LineChart(title, step, yLabel), figure);
    }

    String ofShare(String title, String yLabel, String figure) {
      return draw(
          new LineChart(title, step, yLabel).format(Format.NUMBER, Format.PERCENT).yFrom(0, 0),
          figure);
    }

    private String draw(LineChart chart, String figure) {
      for (Curve curve : curves) {
        chart.add(
            Series.of(
                curve.label(),
                curve.points().stream()
                    .map(
                        metrics ->
                            Point.of(
                                metrics.getStep(),
                                metrics.getMetrics().getOrDefault(figure, Double.NaN)))
                    .toList()));
      }
      return chart.html();
    }
  }
}
