package io.millrace.report.chart;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.TreeSet;

/** Keeps the points of a line that show at the width of a chart. */
final class Thinning {

  /** Points that a line may have. A chart has some 480 pixels for them. */
  static final int MOST_POINTS = 240;

  private Thinning() {}

  /**
   * The first and the last point, and the lowest and the highest of each of equally many
   * neighbours. A line of few points stays whole.
   *
   * @param points ordered by x
   */
  static List<Point> of(List<Point> points) {
    int size = points.size();
    if (size <= MOST_POINTS) {
      return points;
    }
    TreeSet<Integer> kept = new TreeSet<>(List.of(0, size - 1));
    int stretches = MOST_POINTS / 2 - 1;
    Comparator<Integer> byValue = Comparator.comparingDouble(i -> points.get(i).y());
    for (int stretch = 0; stretch < stretches; stretch++) {
      List<Integer> some = new ArrayList<>();
      int to = (int) ((long) (stretch + 1) * size / stretches);
      for (int i = (int) ((long) stretch * size / stretches); i < to; i++) {
        some.add(i);
      }
      kept.add(some.stream().min(byValue).orElseThrow());
      kept.add(some.stream().max(byValue).orElseThrow());
    }
    return kept.stream().map(points::get).toList();
  }
}
