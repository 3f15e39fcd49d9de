package io.millrace.report.chart;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.DoubleStream;

/** Lines over a continuous quantity, with bands for intervals. */
public final class LineChart implements Chart {

  /** In a series with more points, a dot shows only under the mouse. */
  private static final int MOST_DOTS = 40;

  /** Up to this number of different values of x, each value has a tick. */
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
   * @param xLabel the quantity of the horizontal axis, with its unit
   * @param yLabel the quantity of the vertical axis, with its unit
   */
  public LineChart(String title, String xLabel, String yLabel) {
    this.title = title;
    this.xLabel = xLabel;
    this.yLabel = yLabel;
  }

  /**
   * Adds a series. Points that are not finite are left out, and so is a series without points. The
   * line goes from left to right, whatever the order of the points. Of very many points it keeps
   * the lowest and the highest of each stretch.
   */
  public LineChart add(Series line) {
    List<Point> drawn =
        Thinning.of(
            line.points().stream()
                .filter(Point::isDrawn)
                .sorted(Comparator.comparingDouble(Point::x))
                .toList());
    if (!drawn.isEmpty()) {
      series.add(new Series(line.name(), drawn, line.line()));
    }
    return this;
  }

  /** Sets a sentence below the title. */
  public LineChart note(String text) {
    this.note = text;
    return this;
  }

  /** Draws series that follow each other in shades of one colour. */
  public LineChart ordered() {
    this.palette = Palette.ORDERED;
    return this;
  }

  /** Writes names on the horizontal axis: the first name at 0, the second at 1, and so on. */
  public LineChart names(List<String> values) {
    this.xNames = List.copyOf(values);
    return this;
  }

  /** Makes the horizontal axis logarithmic; all values must be above 0. */
  public LineChart logarithmicX() {
    this.xLogarithmic = true;
    return this;
  }

  /** Sets the formats of the values. */
  public LineChart format(Format x, Format y) {
    this.xFormat = x;
    this.yFormat = y;
    return this;
  }

  /** Extends the vertical axis to at least this range. */
  public LineChart yFrom(double low, double high) {
    this.yLow = low;
    this.yHigh = high;
    return this;
  }

  @Override
  public boolean isEmpty() {
    return series.isEmpty();
  }

  @Override
  public Figure figure() {
    if (isEmpty()) {
      throw new IllegalStateException("chart '" + title + "' has nothing to draw");
    }
    Axis x = xAxis();
    Axis y = yAxis();
    Canvas canvas = new Canvas();
    canvas.valueAxis(y, yFormat, yLabel);
    for (double tick : x.ticks()) {
      canvas.line(
          "mark",
          x.at(tick),
          Canvas.HEIGHT - Canvas.BOTTOM,
          x.at(tick),
          Canvas.HEIGHT - Canvas.BOTTOM + 4);
    }
    canvas.bottomTicks(
        x.ticks().stream().map(x::at).toList(),
        x.ticks().stream()
            .map(tick -> xNames.isEmpty() ? x.label(tick, xFormat) : x(tick))
            .toList());
    canvas.bottomLabel(xLabel);
    for (int i = 0; i < series.size(); i++) {
      band(canvas, x, y, i);
    }
    for (int i = 0; i < series.size(); i++) {
      draw(canvas, x, y, i);
    }
    return Figure.of(
        title,
        note,
        series.stream().map(Series::name).toList(),
        index -> style(index) + (isBroken(index) ? " broken" : ""),
        canvas);
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

  private void band(Canvas canvas, Axis x, Axis y, int index) {
    List<Point> points = series.get(index).points().stream().filter(Point::hasInterval).toList();
    if (points.size() < 2) {
      return;
    }
    StringBuilder outline = new StringBuilder();
    points.forEach(point -> append(outline, x.at(point.x()), y.at(point.low())));
    points.reversed().forEach(point -> append(outline, x.at(point.x()), y.at(point.high())));
    canvas.area("band " + style(index), outline.toString());
  }

  private void draw(Canvas canvas, Axis x, Axis y, int index) {
    Series line = series.get(index);
    StringBuilder points = new StringBuilder();
    line.points().forEach(point -> append(points, x.at(point.x()), y.at(point.y())));
    if (line.line() != Series.Line.NONE && line.points().size() > 1) {
      canvas.path((isBroken(index) ? "line dashed " : "line ") + style(index), points.toString());
    }
    boolean crowded = line.points().size() > MOST_DOTS;
    if (line.line() == Series.Line.REFERENCE) {
      return;
    }
    for (Point point : line.points()) {
      canvas.dot(
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
    points.append(Canvas.px(x)).append(',').append(Canvas.px(y)).append(' ');
  }

  private Axis xAxis() {
    List<Double> values =
        series.stream()
            .flatMap(line -> line.points().stream())
            .map(Point::x)
            .distinct()
            .sorted()
            .toList();
    // Names are wider than numbers.
    double margin = xNames.isEmpty() ? 8 : 32;
    double from = Canvas.LEFT + margin;
    double to = Canvas.WIDTH - Canvas.RIGHT - margin;
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
        Canvas.HEIGHT - Canvas.BOTTOM,
        Canvas.TOP);
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
