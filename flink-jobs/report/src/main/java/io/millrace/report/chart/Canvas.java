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

  /** Of a letter at the size of the ticks; generous, since the viewer's font is not known. */
  private static final double LETTER = 6.8;

  private static final double GAP = 8;

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
      label("tick", "end", LEFT - 7, y.at(tick) + 4, y.label(tick, format));
    }
    label("axis", "start", 2, 14, label);
  }

  /**
   * Draws a text below each of some places of the horizontal axis. Texts stay within the drawing.
   * Where not all fit beside each other, every second, third and so on is drawn.
   *
   * @param places pixels, ascending
   */
  void bottomTicks(List<Double> places, List<String> texts) {
    List<Double> middles = new ArrayList<>();
    for (int i = 0; i < places.size(); i++) {
      double half = Math.min(WIDTH, LETTER * texts.get(i).length()) / 2;
      middles.add(Math.clamp(places.get(i), half, WIDTH - half));
    }
    int every = 1;
    while (every < places.size() && overlap(middles, texts, every)) {
      every++;
    }
    for (int i = 0; i < places.size(); i += every) {
      label("tick", "middle", middles.get(i), HEIGHT - BOTTOM + 17, texts.get(i));
    }
  }

  private static boolean overlap(List<Double> middles, List<String> texts, int every) {
    for (int i = every; i < middles.size(); i += every) {
      int letters = texts.get(i).length() + texts.get(i - every).length();
      if (middles.get(i) - middles.get(i - every) < LETTER * letters / 2 + GAP) {
        return true;
      }
    }
    return false;
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
