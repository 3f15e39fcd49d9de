package io.millrace.report.chart;

import com.fasterxml.jackson.annotation.JsonTypeInfo;

/**
 * An element of a drawing. Coordinates are pixels as SVG writes them. A style is a class of the
 * page's style sheet, which gives the mark its colour.
 */
@JsonTypeInfo(use = JsonTypeInfo.Id.SIMPLE_NAME, property = "kind")
public sealed interface Mark {

  /** A straight line. */
  record Line(String style, String x1, String y1, String x2, String y2) implements Mark {}

  /**
   * A text.
   *
   * @param anchor the part of the text at x: start, middle or end
   */
  record Label(String style, String anchor, String x, String y, String text) implements Mark {}

  /**
   * A line through points.
   *
   * @param points {@code x,y x,y …}
   */
  record Path(String style, String points) implements Mark {}

  /**
   * A filled area.
   *
   * @param points its outline, {@code x,y x,y …}
   */
  record Area(String style, String points) implements Mark {}

  /**
   * A point.
   *
   * @param title the text that appears under a mouse
   */
  record Dot(String style, String x, String y, String radius, String title) implements Mark {}

  /**
   * An upright rectangle.
   *
   * @param title the text that appears under a mouse
   */
  record Bar(String style, String x, String y, String width, String height, String title)
      implements Mark {}
}
