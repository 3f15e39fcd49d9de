package io.millrace.report.chart;

import java.util.List;
import java.util.function.IntFunction;

/** What every figure has around its drawing. */
final class Figure {

  private Figure() {}

  /** The figure with its title, a note below it, and a legend where there is more than one name. */
  static String of(
      String title, String note, List<String> names, IntFunction<String> style, String drawing) {
    StringBuilder html = new StringBuilder("<figure class=\"chart\">\n<figcaption>");
    html.append(Html.escape(title)).append("</figcaption>\n");
    if (!note.isEmpty()) {
      html.append("<p class=\"note\">").append(Html.escape(note)).append("</p>\n");
    }
    if (names.size() > 1) {
      html.append("<p class=\"legend\">");
      for (int i = 0; i < names.size(); i++) {
        html.append(
            "<span><i class=\"%s\"></i>%s</span> "
                .formatted(style.apply(i), Html.escape(names.get(i))));
      }
      html.append("</p>\n");
    }
    return html.append(drawing).append("\n</figure>\n").toString();
  }

  /** Horizontal lines at the ticks, their values, and what the values are. */
  static void valueAxis(Svg svg, Axis y, Format format, String label) {
    for (double tick : y.ticks()) {
      svg.line("grid", Svg.LEFT, y.at(tick), Svg.WIDTH - Svg.RIGHT, y.at(tick));
      svg.label("tick", "end", Svg.LEFT - 7, y.at(tick) + 4, format.of(tick));
    }
    svg.label("axis", "start", 2, 14, label);
  }

  /** What lies below the drawing. */
  static void bottomLabel(Svg svg, String label) {
    svg.label("axis", "end", Svg.WIDTH - Svg.RIGHT, Svg.HEIGHT - 6, label);
  }
}
