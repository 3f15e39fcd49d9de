package io.millrace.report.chart;

import java.util.ArrayList;
import java.util.List;

/** Maps values to pixels along a line, with round ticks. */
final class Axis {

  private static final int MOST_TICKS = 6;
  private static final double[] STEPS = {1, 2, 2.5, 5, 10};

  private final double low;
  private final double high;
  private final double from;
  private final double to;
  private final boolean logarithmic;
  private final List<Double> ticks;

  private Axis(
      double low, double high, double from, double to, boolean logarithmic, List<Double> ticks) {
    this.low = low;
    this.high = high;
    this.from = from;
    this.to = to;
    this.logarithmic = logarithmic;
    this.ticks = ticks;
  }

  /**
   * An axis with equal steps. Its ends move outwards to the next ticks.
   *
   * @param from pixel of the lower end
   * @param to pixel of the upper end
   */
  static Axis linear(double low, double high, double from, double to) {
    double width = high - low;
    if (!(width > 0)) {
      // A single value gets room on both sides.
      width = low == 0 ? 1 : Math.abs(low) * 0.2;
      return linear(low - width / 2, low + width / 2, from, to);
    }
    double step = step(width);
    long first = (long) Math.floor(low / step + 1e-9);
    long last = (long) Math.ceil(high / step - 1e-9);
    List<Double> ticks = new ArrayList<>();
    for (long tick = first; tick <= last; tick++) {
      ticks.add(tick * step);
    }
    return new Axis(first * step, last * step, from, to, false, ticks);
  }

  /**
   * An axis with ticks at the given values only.
   *
   * @param values in ascending order
   * @param logarithmic whether equal ratios, not equal differences, are equal distances
   */
  static Axis at(List<Double> values, boolean logarithmic, double from, double to) {
    double low = values.getFirst();
    double high = values.getLast();
    if (low == high) {
      return new Axis(low - 0.5, low + 0.5, from, to, false, values);
    }
    return new Axis(low, high, from, to, logarithmic, logarithmic ? octaves(values) : values);
  }

  /** The first value, the last, and values between them whose ratio is at least 1.5. */
  private static List<Double> octaves(List<Double> values) {
    List<Double> ticks = new ArrayList<>();
    double last = values.getLast();
    for (double value : values) {
      boolean apart = ticks.isEmpty() || value >= 1.5 * ticks.getLast();
      if (value == last || (apart && value * 1.5 <= last)) {
        ticks.add(value);
      }
    }
    return ticks;
  }

  private static double step(double width) {
    double rough = width / (MOST_TICKS - 1);
    double power = Math.pow(10, Math.floor(Math.log10(rough)));
    for (double step : STEPS) {
      if (step * power >= rough * (1 - 1e-9)) {
        return step * power;
      }
    }
    return 10 * power;
  }

  List<Double> ticks() {
    return ticks;
  }

  /** The text of a tick, with as many digits as tell it from its neighbours. */
  String label(double tick, Format format) {
    double step = Double.POSITIVE_INFINITY;
    for (int i = 1; i < ticks.size(); i++) {
      step = Math.min(step, ticks.get(i) - ticks.get(i - 1));
    }
    return Double.isFinite(step) ? format.tick(tick, step) : format.of(tick);
  }

  double low() {
    return low;
  }

  /** The pixel of a value. */
  double at(double value) {
    double share =
        logarithmic ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
    return from + share * (to - from);
  }
}
