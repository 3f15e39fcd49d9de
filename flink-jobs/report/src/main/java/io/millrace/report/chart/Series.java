package io.millrace.report.chart;

import java.util.List;

/**
 * Points under one name.
 *
 * @param line how they are joined
 */
public record Series(String name, List<Point> points, Line line) {

  /** How points are joined. */
  public enum Line {
    SOLID,
    DASHED,
    /** Dashed and grey: what others are to be compared with. */
    REFERENCE,
    /** Not at all. */
    NONE
  }

  public Series {
    points = List.copyOf(points);
  }

  /** A solid line. */
  public static Series of(String name, List<Point> points) {
    return new Series(name, points, Line.SOLID);
  }

  /** A line that others are to be compared with. */
  public static Series reference(String name, List<Point> points) {
    return new Series(name, points, Line.REFERENCE);
  }

  /** A dashed line. */
  public static Series dashed(String name, List<Point> points) {
    return new Series(name, points, Line.DASHED);
  }
}
