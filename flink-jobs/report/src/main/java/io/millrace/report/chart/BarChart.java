package io.millrace.report.chart;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.DoubleStream;

/** Bars side by side for each category, from zero, with whiskers for intervals. */
public final class BarChart {

  /** So many bars have room for their values above them. */
  private static final int MOST_LABELLED = 12;

  private final String title;
  private final String yLabel;
  private final List<String> categories;
  private final List<Bars> series = new ArrayList<>();
  private String note = "";
  private String xLabel = "";
  private Format format = Format.NUMBER;
  private Palette palette = Palette.DISTINCT;
  private double yHigh = Double.NaN;
  private double rule = Double.NaN;

  private record Bars(String name, List<Bar> bars) {}

  /**
   * A bar.
   *
   * @param value NaN draws none
   * @param low lower end of its interval, NaN without one
   * @param high upper end of its interval, NaN without one
   */
  public record Bar(double value, double low, double high) {

    /** A bar without an interval. */
    public static Bar of(double value) {
      return new Bar(value, Double.NaN, Double.NaN);
    }

    private boolean hasInterval() {
      return Double.isFinite(low) && Double.isFinite(high);
    }
  }

  /**
   * An empty chart.
   *
   * @param yLabel what the bars' length is, with its unit
   */
  public BarChart(String title, String yLabel, List<String> categories) {
    this.title = title;
    this.yLabel = yLabel;
    this.categories = List.copyOf(categories);
  }

  /** Bars of one name, one for each category. */
  public BarChart add(String name, List<Bar> bars) {
    if (bars.size() != categories.size()) {
      throw new IllegalArgumentException(
          "%d bars of %s for %d categories".formatted(bars.size(), name, categories.size()));
    }
    if (bars.stream().anyMatch(bar -> Double.isFinite(bar.value()))) {
      series.add(new Bars(name, List.copyOf(bars)));
    }
    return this;
  }

  /** A sentence below the title. */
  public BarChart note(String text) {
    this.note = text;
    return this;
  }

  /** What the categories are. */
  public BarChart xLabel(String label) {
    this.xLabel = label;
    return this;
  }

  /** How values are written. */
  public BarChart format(Format values) {
    this.format = values;
    return this;
  }

  /** The series follow each other: shades of one colour. */
  public BarChart ordered() {
    this.palette = Palette.ORDERED;
    return this;
  }

  /** The vertical axis goes at least up to here. */
  public BarChart yTo(double high) {
    this.yHigh = high;
    return this;
  }

  /** A line across at a value that bars are to be compared with. */
  public BarChart rule(double value) {
    this.rule = value;
    return this;
  }

  /** Whether there is nothing to draw. */
  public boolean isEmpty() {
    return series.isEmpty();
  }

  /** The figure; empty where there is nothing to draw. */
  public String html() {
    if (isEmpty()) {
      return "";
    }
    Axis y =
        Axis.linear(
            Math.min(0, values().min().orElse(0)),
            Math.max(Math.max(values().max().orElse(0), Double.isNaN(yHigh) ? 0 : yHigh), SMALLEST),
            Svg.HEIGHT - Svg.BOTTOM,
            Svg.TOP);
    Svg svg = new Svg(title);
    Figure.valueAxis(svg, y, format, yLabel);
    double room = (double) (Svg.WIDTH - Svg.LEFT - Svg.RIGHT) / categories.size();
    double width = Math.min(MOST_WIDTH, room * 0.78 / series.size());
    for (int category = 0; category < categories.size(); category++) {
      double middle = Svg.LEFT + room * (category + 0.5);
      for (int i = 0; i < series.size(); i++) {
        bar(svg, y, i, category, middle + width * (i - series.size() / 2.0), width);
      }
      svg.label("tick", "middle", middle, Svg.HEIGHT - Svg.BOTTOM + 17, categories.get(category));
    }
    svg.line("zero", Svg.LEFT, y.at(0), Svg.WIDTH - Svg.RIGHT, y.at(0));
    if (Double.isFinite(rule)) {
      svg.line("rule", Svg.LEFT, y.at(rule), Svg.WIDTH - Svg.RIGHT, y.at(rule));
    }
    Figure.bottomLabel(svg, xLabel);
    return Figure.of(title, note, series.stream().map(Bars::name).toList(), this::style, svg.end());
  }

  private static final double SMALLEST = 1e-9;
  private static final double MOST_WIDTH = 64;

  private String style(int index) {
    return palette.style(index, series.size());
  }

  private void bar(Svg svg, Axis y, int index, int category, double left, double room) {
    Bar bar = series.get(index).bars().get(category);
    if (!Double.isFinite(bar.value())) {
      return;
    }
    double width = room * 0.9;
    double top = Math.min(y.at(bar.value()), y.at(0));
    double height = Math.abs(y.at(bar.value()) - y.at(0));
    String interval =
        bar.hasInterval()
            ? " (%s to %s)".formatted(format.of(bar.low()), format.of(bar.high()))
            : "";
    svg.bar(
        "bar " + style(index),
        left,
        top,
        width,
        height,
        "%s, %s: %s%s"
            .formatted(
                series.get(index).name(),
                categories.get(category),
                format.of(bar.value()),
                interval));
    double middle = left + width / 2;
    double above = top;
    if (bar.hasInterval()) {
      svg.line("whisker", middle, y.at(bar.low()), middle, y.at(bar.high()));
      svg.line("whisker", middle - 4, y.at(bar.low()), middle + 4, y.at(bar.low()));
      svg.line("whisker", middle - 4, y.at(bar.high()), middle + 4, y.at(bar.high()));
      above = Math.min(above, y.at(bar.high()));
    }
    if (categories.size() * series.size() <= MOST_LABELLED) {
      svg.label("value", "middle", middle, above - 5, format.of(bar.value()));
    }
  }

  private DoubleStream values() {
    return series.stream()
        .flatMap(bars -> bars.bars().stream())
        .filter(bar -> Double.isFinite(bar.value()))
        .flatMapToDouble(
            bar ->
                bar.hasInterval()
                    ? DoubleStream.of(bar.value(), bar.low(), bar.high())
                    : DoubleStream.of(bar.value()));
  }
}
