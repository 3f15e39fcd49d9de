package io.millrace.report.chart;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.DoubleStream;

/** Bars from zero, side by side for each category, with whiskers for intervals. */
public final class BarChart implements Chart {

  /** The largest number of bars with room for their values above them. */
  private static final int MOST_LABELLED = 12;

  private static final double SMALLEST = 1e-9;
  private static final double MOST_WIDTH = 64;

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
   * @param value NaN for no bar
   * @param low lower end of its interval, NaN without an interval
   * @param high upper end of its interval, NaN without an interval
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
   * @param yLabel the quantity of the bars' length, with its unit
   * @param categories names of the groups of bars, from left to right
   */
  public BarChart(String title, String yLabel, List<String> categories) {
    this.title = title;
    this.yLabel = yLabel;
    this.categories = List.copyOf(categories);
  }

  /**
   * Adds a series of bars, one for each category. A series without a finite value is left out.
   *
   * @throws IllegalArgumentException where the number of bars is not the number of categories
   */
  public BarChart add(String name, List<Bar> bars) {
    if (bars.size() != categories.size()) {
      throw new IllegalArgumentException(
          "series '%s' has %d bars but the chart has %d categories"
              .formatted(name, bars.size(), categories.size()));
    }
    if (bars.stream().anyMatch(bar -> Double.isFinite(bar.value()))) {
      series.add(new Bars(name, List.copyOf(bars)));
    }
    return this;
  }

  /** Sets a sentence below the title. */
  public BarChart note(String text) {
    this.note = text;
    return this;
  }

  /** Sets the label of the categories. */
  public BarChart xLabel(String label) {
    this.xLabel = label;
    return this;
  }

  /** Sets the format of the values. */
  public BarChart format(Format values) {
    this.format = values;
    return this;
  }

  /** Draws series that follow each other in shades of one colour. */
  public BarChart ordered() {
    this.palette = Palette.ORDERED;
    return this;
  }

  /** Extends the vertical axis to at least this value. */
  public BarChart yTo(double high) {
    this.yHigh = high;
    return this;
  }

  /** Draws a line at a value for comparison. */
  public BarChart rule(double value) {
    this.rule = value;
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
    Axis y =
        Axis.linear(
            Math.min(0, values().min().orElse(0)),
            Math.max(Math.max(values().max().orElse(0), Double.isNaN(yHigh) ? 0 : yHigh), SMALLEST),
            Canvas.HEIGHT - Canvas.BOTTOM,
            Canvas.TOP);
    Canvas canvas = new Canvas();
    canvas.valueAxis(y, format, yLabel);
    double room = (double) (Canvas.WIDTH - Canvas.LEFT - Canvas.RIGHT) / categories.size();
    double width = Math.min(MOST_WIDTH, room * 0.78 / series.size());
    List<Double> middles = new ArrayList<>();
    for (int category = 0; category < categories.size(); category++) {
      double middle = Canvas.LEFT + room * (category + 0.5);
      for (int i = 0; i < series.size(); i++) {
        bar(canvas, y, i, category, middle + width * (i - series.size() / 2.0), width);
      }
      middles.add(middle);
    }
    canvas.bottomTicks(middles, categories);
    canvas.line("zero", Canvas.LEFT, y.at(0), Canvas.WIDTH - Canvas.RIGHT, y.at(0));
    if (Double.isFinite(rule)) {
      canvas.line("rule", Canvas.LEFT, y.at(rule), Canvas.WIDTH - Canvas.RIGHT, y.at(rule));
    }
    canvas.bottomLabel(xLabel);
    return Figure.of(title, note, series.stream().map(Bars::name).toList(), this::style, canvas);
  }

  private String style(int index) {
    return palette.style(index, series.size());
  }

  private void bar(Canvas canvas, Axis y, int index, int category, double left, double room) {
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
    canvas.bar(
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
      canvas.line("whisker", middle, y.at(bar.low()), middle, y.at(bar.high()));
      canvas.line("whisker", middle - 4, y.at(bar.low()), middle + 4, y.at(bar.low()));
      canvas.line("whisker", middle - 4, y.at(bar.high()), middle + 4, y.at(bar.high()));
      above = Math.min(above, y.at(bar.high()));
    }
    if (categories.size() * series.size() <= MOST_LABELLED) {
      canvas.label("value", "middle", middle, above - 5, format.of(bar.value()));
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
