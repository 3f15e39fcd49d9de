package io.millrace.report.chart;

/**
 * A point of a series.
 *
 * @param low lower end of its interval, NaN without an interval
 * @param high upper end of its interval, NaN without an interval
 */
public record Point(double x, double y, double low, double high) {

  /** A point without an interval. */
  public static Point of(double x, double y) {
    return new Point(x, y, Double.NaN, Double.NaN);
  }

  boolean isDrawn() {
    return Double.isFinite(x) && Double.isFinite(y);
  }

  boolean hasInterval() {
    return Double.isFinite(low) && Double.isFinite(high);
  }
}
