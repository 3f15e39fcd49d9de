package io.millrace.report.chart;

import java.util.List;

/**
 * Points with one name.
 *
 * @param line the kind of line that joins them
 */
public record Series(String name, List<Point> points, Line line) {

  /** The line between points. */
  public enum Line {
    SOLID,
    DASHED,
    /** Dashed and grey, without dots: a line for comparison. */
    REFERENCE,
    /** No line. */
    NONE
  }

  public Series {
    points = List.copyOf(points);
  }

  /** A solid line. */
  public static Series of(String name, List<Point> points) {
    return new Series(name, points, Line.SOLID);
  }

  /** A line for comparison. */
  public static Series reference(String name, List<Point> points) {
    return new Series(name, points, Line.REFERENCE);
  }

  /** A dashed line. */
  public static Series dashed(String name, List<Point> points) {
    return new Series(name, points, Line.DASHED);
  }
}
