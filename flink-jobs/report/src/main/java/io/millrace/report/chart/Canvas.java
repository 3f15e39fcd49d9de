package io.millrace.report.chart;

import java.util.Locale;

/** The elements that figures are drawn of. Colours come from the page's style. */
final class Svg {

  static final int WIDTH = 560;
  static final int HEIGHT = 300;
  static final int LEFT = 58;
  static final int RIGHT = 14;
  static final int TOP = 30;
  static final int BOTTOM = 46;

  private final StringBuilder text = new StringBuilder();

  Svg(String label) {
    text.append(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">\n"
            .formatted(WIDTH, HEIGHT, Html.escape(label)));
  }

  void line(String style, double x1, double y1, double x2, double y2) {
    text.append(
        "<line class=\"%s\" x1=\"%s\" y1=\"%s\" x2=\"%s\" y2=\"%s\"/>\n"
            .formatted(style, px(x1), px(y1), px(x2), px(y2)));
  }

  /**
   * A text.
   *
   * @param anchor start, middle or end
   */
  void label(String style, String anchor, double x, double y, String label) {
    text.append(
        "<text class=\"%s\" text-anchor=\"%s\" x=\"%s\" y=\"%s\">%s</text>\n"
            .formatted(style, anchor, px(x), px(y), Html.escape(label)));
  }

  /** A line through points: "x,y x,y …". */
  void path(String style, String points) {
    text.append("<polyline class=\"%s\" points=\"%s\"/>\n".formatted(style, points));
  }

  void area(String style, String points) {
    text.append("<polygon class=\"%s\" points=\"%s\"/>\n".formatted(style, points));
  }

  void dot(String style, double x, double y, double radius, String title) {
    text.append(
        "<circle class=\"%s\" cx=\"%s\" cy=\"%s\" r=\"%s\"><title>%s</title></circle>\n"
            .formatted(style, px(x), px(y), px(radius), Html.escape(title)));
  }

  void bar(String style, double x, double y, double width, double height, String title) {
    text.append(
        "<rect class=\"%s\" x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\" rx=\"1.5\"><title>%s</title></rect>\n"
            .formatted(style, px(x), px(y), px(width), px(height), Html.escape(title)));
  }

  String end() {
    return text.append("</svg>").toString();
  }

  static String px(double value) {
    return String.format(Locale.ROOT, "%.1f", value);
  }
}
