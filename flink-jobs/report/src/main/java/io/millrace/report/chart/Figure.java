package io.millrace.report.chart;

import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;

/**
 * A chart as marks at pixels.
 *
 * @param note a sentence below the title; may be empty
 * @param legend the names of the series; empty for one series
 * @param marks from the lowest to the topmost
 */
public record Figure(
    String title, String note, List<Key> legend, int width, int height, List<Mark> marks) {

  /** A line of the legend: the style of a series and its name. */
  public record Key(String style, String name) {}

  /** The figure on a canvas. */
  static Figure of(
      String title, String note, List<String> names, IntFunction<String> style, Canvas canvas) {
    List<Key> legend = new ArrayList<>();
    for (int i = 0; names.size() > 1 && i < names.size(); i++) {
      legend.add(new Key(style.apply(i), names.get(i)));
    }
    return new Figure(title, note, legend, Canvas.WIDTH, Canvas.HEIGHT, canvas.marks());
  }
}
