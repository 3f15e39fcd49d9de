package io.millrace.report;

import io.millrace.model.supervised.GhostAttentionMeasure.Measured;
import io.millrace.report.chart.BarChart;
import io.millrace.report.chart.BarChart.Bar;
import io.millrace.report.chart.Format;
import io.millrace.report.chart.LineChart;
import io.millrace.report.chart.Page;
import io.millrace.report.chart.Point;
import io.millrace.report.chart.Series;
import java.util.List;
import java.util.stream.IntStream;

/** The measure as one HTML page with two pictures, which needs nothing beside itself. */
public final class GhostAttentionPage {

  private static final String WITH = "with";
  private static final String WITHOUT = "without";

  private GhostAttentionPage() {}

  /** The page. */
  public static String html(Measured with, Measured without) {
    return new Page("Ghost Attention", "A policy with Ghost Attention beside one without")
        .section("Figures")
        .figures(holds(with, without), attention(with, without))
        .html();
  }

  /** The share of dialogues in which an instruction of turn 1 holds, by turn. */
  public static String holds(Measured with, Measured without) {
    return new LineChart(
            "Share of dialogues in which an instruction of turn 1 holds", "turn", "dialogues")
        .add(curve(WITH, with))
        .add(curve(WITHOUT, without))
        .format(Format.NUMBER, Format.PERCENT)
        .yFrom(0, 1)
        .html();
  }

  private static Series curve(String name, Measured measured) {
    return Series.of(
        name, measured.holds().stream().map(at -> Point.of(at.turn(), at.share())).toList());
  }

  /** How much the last prompt token of turn 10 looks at the instruction, by layer. */
  public static String attention(Measured with, Measured without) {
    int layers = with.attentionByLayer().size();
    return new BarChart(
            "Attention of the last prompt token of turn 10 to the instruction, by layer",
            "attention weight",
            IntStream.range(0, layers).mapToObj(layer -> "layer " + layer).toList())
        .add(WITH, bars(with, layers))
        .add(WITHOUT, bars(without, layers))
        .html();
  }

  private static List<Bar> bars(Measured measured, int layers) {
    return IntStream.range(0, layers)
        .mapToObj(
            layer ->
                Bar.of(
                    layer < measured.attentionByLayer().size()
                        ? measured.attentionByLayer().get(layer)
                        : Double.NaN))
        .toList();
  }
}
