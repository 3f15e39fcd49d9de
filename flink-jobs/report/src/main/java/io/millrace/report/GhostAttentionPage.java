package io.millrace.report;

import io.millrace.model.supervised.GhostAttentionMeasure.Measured;
import io.millrace.report.chart.BarChart;
import io.millrace.report.chart.BarChart.Bar;
import io.millrace.report.chart.Chart;
import io.millrace.report.chart.Format;
import io.millrace.report.chart.LineChart;
import io.millrace.report.chart.Point;
import io.millrace.report.chart.Series;
import io.millrace.report.page.Page;
import java.util.List;
import java.util.stream.IntStream;

/** A page about the effect of Ghost Attention (Llama 2, arXiv 2307.09288, section 3.3). */
public final class GhostAttentionPage {

  private static final String WITH = "with";
  private static final String WITHOUT = "without";

  private GhostAttentionPage() {}

  /** The page as one HTML file. */
  public static String html(Measured with, Measured without) {
    return new Page("Ghost Attention", "A policy with Ghost Attention beside one without")
        .section("Measurements")
        .charts(holds(with, without), attention(with, without))
        .html();
  }

  /** The share of dialogues that still obey an instruction of turn 1, by turn. */
  static Chart holds(Measured with, Measured without) {
    return new LineChart("Dialogues that obey an instruction of turn 1", "turn", "share")
        .add(curve(WITH, with))
        .add(curve(WITHOUT, without))
        .format(Format.NUMBER, Format.PERCENT)
        .yFrom(0, 1);
  }

  private static Series curve(String name, Measured measured) {
    return Series.of(
        name, measured.holds().stream().map(at -> Point.of(at.turn(), at.share())).toList());
  }

  /** The attention of the last prompt token of turn 10 to the instruction, by layer. */
  static Chart attention(Measured with, Measured without) {
    int layers = with.attentionByLayer().size();
    return new BarChart(
            "Attention of the last prompt token of turn 10 to the instruction, by layer",
            "attention weight",
            IntStream.range(0, layers).mapToObj(layer -> "layer " + layer).toList())
        .add(WITH, bars(with, layers))
        .add(WITHOUT, bars(without, layers));
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
