package io.millrace.report.chart;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.DoubleStream;

/** Lines over a continuous quantity, with bands for intervals. */
public final class LineChart {

  /** More points than these are a line alone. */
  private static final int MOST_DOTS = 40;

  /** So few different values of x are each a tick. */
  private static final int FEW = 10;

  private final String title;
  private final String xLabel;
  private final String yLabel;
  private final List<Series> series = new ArrayList<>();
  private String note = "";
  private Palette palette = Palette.DISTINCT;
  private Format xFormat = Format.NUMBER;
  private Format yFormat = Format.NUMBER;
  private List<String> xNames = List.of();
  private boolean xLogarithmic;
  private double yLow = Double.NaN;
  private double yHigh = Double.NaN;

  /**
   * An empty chart.
   *
   * @param xLabel what lies along the horizontal axis, with its unit
   * @param yLabel what lies along the vertical axis, with its unit
   */
  public LineChart(String title, String xLabel, String yLabel) {
    this.title = title;
    this.xLabel = xLabel;
    this.yLabel = yLabel;
  }

  /** A line more; points that are not finite are left out. */
  public LineChart add(Series line) {
    List<Point> drawn = line.points().stream().filter(Point::isDrawn).toList();
    if (!drawn.isEmpty()) {
      series.add(new Series(line.name(), drawn, line.line()));
    }
    return this;
  }

  /** A sentence below the title. */
  public LineChart note(String text) {
    this.note = text;
    return this;
  }

  /** The series follow each other: shades of one colour. */
  public LineChart ordered() {
    this.palette = Palette.ORDERED;
    return this;
  }

  /** What lies along the horizontal axis are names: that of 0 first, then that of 1. */
  public LineChart names(List<String> values) {
    this.xNames = List.copyOf(values);
    return this;
  }

  /** Equal ratios are equal distances; for values above 0. */
  public LineChart logarithmicX() {
    this.xLogarithmic = true;
    return this;
  }

  /** How values are written. */
  public LineChart format(Format x, Format y) {
    this.xFormat = x;
    this.yFormat = y;
    return this;
  }

  /** The vertical axis goes at least from here to there. */
  public LineChart yFrom(double low, double high) {
    this.yLow = low;
    this.yHigh = high;
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
    Axis x = xAxis();
    Axis y = yAxis();
    Svg svg = new Svg(title);
    Figure.valueAxis(svg, y, yFormat, yLabel);
    for (double tick : x.ticks()) {
      svg.line(
          "mark", x.at(tick), Svg.HEIGHT - Svg.BOTTOM, x.at(tick), Svg.HEIGHT - Svg.BOTTOM + 4);
      svg.label("tick", "middle", x.at(tick), Svg.HEIGHT - Svg.BOTTOM + 17, x(tick));
    }
    Figure.bottomLabel(svg, xLabel);
    for (int i = 0; i < series.size(); i++) {
      band(svg, x, y, i);
    }
    for (int i = 0; i < series.size(); i++) {
      draw(svg, x, y, i);
    }
    return Figure.of(
        title,
        note,
        series.stream().map(Series::name).toList(),
        index -> style(index) + (isBroken(index) ? " broken" : ""),
        svg.end());
  }

  private String style(int index) {
    return series.get(index).line() == Series.Line.REFERENCE
        ? "ref"
        : palette.style(index, series.size());
  }

  private boolean isBroken(int index) {
    Series.Line line = series.get(index).line();
    return line == Series.Line.DASHED || line == Series.Line.REFERENCE;
  }

  private void band(Svg svg, Axis x, Axis y, int index) {
    List<Point> points = series.get(index).points().stream().filter(Point::hasInterval).toList();
    if (points.size() < 2) {
      return;
    }
    StringBuilder outline = new StringBuilder();
    points.forEach(point -> append(outline, x.at(point.x()), y.at(point.low())));
    points.reversed().forEach(point -> append(outline, x.at(point.x()), y.at(point.high())));
    svg.area("band " + style(index), outline.toString());
  }

  private void draw(Svg svg, Axis x, Axis y, int index) {
    Series line = series.get(index);
    StringBuilder points = new StringBuilder();
    line.points().forEach(point -> append(points, x.at(point.x()), y.at(point.y())));
    if (line.line() != Series.Line.NONE && line.points().size() > 1) {
      svg.path((isBroken(index) ? "line dashed " : "line ") + style(index), points.toString());
    }
    boolean crowded = line.points().size() > MOST_DOTS;
    if (line.line() == Series.Line.REFERENCE) {
      return;
    }
    for (Point point : line.points()) {
      svg.dot(
          (crowded ? "faint " : "dot ") + style(index),
          x.at(point.x()),
          y.at(point.y()),
          crowded ? 2 : 3,
          title(line, point));
    }
  }

  private String x(double value) {
    return xNames.isEmpty() ? xFormat.of(value) : xNames.get((int) value);
  }

  private String title(Series line, Point point) {
    String interval =
        point.hasInterval()
            ? " (%s to %s)".formatted(yFormat.of(point.low()), yFormat.of(point.high()))
            : "";
    return "%s: %s at %s%s".formatted(line.name(), yFormat.of(point.y()), x(point.x()), interval);
  }

  private static void append(StringBuilder points, double x, double y) {
    points.append(Svg.px(x)).append(',').append(Svg.px(y)).append(' ');
  }

  private Axis xAxis() {
    List<Double> values =
        series.stream()
            .flatMap(line -> line.points().stream())
            .map(Point::x)
            .distinct()
            .sorted()
            .toList();
    double from = Svg.LEFT + 6;
    double to = Svg.WIDTH - Svg.RIGHT - 10;
    if (values.size() <= FEW || xLogarithmic || !xNames.isEmpty()) {
      return Axis.at(values, xLogarithmic, from, to);
    }
    return Axis.linear(values.getFirst(), values.getLast(), from, to);
  }

  private Axis yAxis() {
    double low = values().min().orElseThrow();
    double high = values().max().orElseThrow();
    return Axis.linear(
        Double.isNaN(yLow) ? low : Math.min(low, yLow),
        Double.isNaN(yHigh) ? high : Math.max(high, yHigh),
        Svg.HEIGHT - Svg.BOTTOM,
        Svg.TOP);
  }

  private DoubleStream values() {
    return series.stream()
        .flatMap(line -> line.points().stream())
        .flatMapToDouble(
            point ->
                point.hasInterval()
                    ? DoubleStream.of(point.y(), point.low(), point.high())
                    : DoubleStream.of(point.y()));
  }
}
