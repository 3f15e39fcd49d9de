package io.millrace.report.chart;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Collects the marks of a drawing. */
final class Canvas {

  static final int WIDTH = 560;
  static final int HEIGHT = 300;
  static final int LEFT = 58;
  static final int RIGHT = 14;
  static final int TOP = 30;
  static final int BOTTOM = 46;

  private final List<Mark> marks = new ArrayList<>();

  void line(String style, double x1, double y1, double x2, double y2) {
    marks.add(new Mark.Line(style, px(x1), px(y1), px(x2), px(y2)));
  }

  void label(String style, String anchor, double x, double y, String text) {
    marks.add(new Mark.Label(style, anchor, px(x), px(y), text));
  }

  void path(String style, String points) {
    marks.add(new Mark.Path(style, points));
  }

  void area(String style, String points) {
    marks.add(new Mark.Area(style, points));
  }

  void dot(String style, double x, double y, double radius, String title) {
    marks.add(new Mark.Dot(style, px(x), px(y), px(radius), title));
  }

  void bar(String style, double x, double y, double width, double height, String title) {
    marks.add(new Mark.Bar(style, px(x), px(y), px(width), px(height), title));
  }

  /** Draws horizontal lines at the ticks, the values of the ticks, and the axis label. */
  void valueAxis(Axis y, Format format, String label) {
    for (double tick : y.ticks()) {
      line("grid", LEFT, y.at(tick), WIDTH - RIGHT, y.at(tick));
      label("tick", "end", LEFT - 7, y.at(tick) + 4, format.of(tick));
    }
    label("axis", "start", 2, 14, label);
  }

  /** Draws the label of the horizontal axis. */
  void bottomLabel(String label) {
    label("axis", "end", WIDTH - RIGHT, HEIGHT - 6, label);
  }

  List<Mark> marks() {
    return List.copyOf(marks);
  }

  static String px(double value) {
    return String.format(Locale.ROOT, "%.1f", value);
  }
}
