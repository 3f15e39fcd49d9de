package io.millrace.jobs.ghost;

import io.millrace.jobs.ghost.GhostAttentionMeasure.AtTurn;
import io.millrace.jobs.ghost.GhostAttentionMeasure.Measured;
import java.util.List;
import java.util.Locale;

/** The measure as one HTML page with two pictures, which needs nothing beside itself. */
public final class GhostAttentionPage {

  private static final int WIDTH = 560;
  private static final int HEIGHT = 260;
  private static final int MARGIN = 44;
  private static final String WITH = "#0b6";
  private static final String WITHOUT = "#c52";

  private GhostAttentionPage() {}

  /** The page. */
  public static String html(Measured with, Measured without) {
    return """
    <!DOCTYPE html>
    <html lang="en"><head><meta charset="utf-8"><title>Ghost Attention</title>
    <style>body{font:15px/1.4 sans-serif;max-width:44em;margin:2em auto}
    .with{color:%s}.without{color:%s}text{font-size:12px}</style></head><body>
    <h1>Ghost Attention</h1>
    <p><b class="with">with</b> and <b class="without">without</b></p>
    <h2>Share of dialogues in which an instruction of turn 1 holds</h2>
    %s
    <h2>Attention of the last prompt token of turn 10 to the instruction, by layer</h2>
    %s
    </body></html>
    """
        .formatted(WITH, WITHOUT, curves(with, without), bars(with, without));
  }

  private static String curves(Measured with, Measured without) {
    StringBuilder svg = open();
    for (int percent = 0; percent <= 100; percent += 25) {
      label(svg, 4, y(percent / 100.0) + 4, percent + " %");
      line(svg, MARGIN, y(percent / 100.0), WIDTH, y(percent / 100.0));
    }
    for (AtTurn point : with.holds()) {
      label(svg, x(point.turn()) - 4, HEIGHT - 8, Integer.toString(point.turn()));
    }
    curve(svg, with.holds(), WITH);
    curve(svg, without.holds(), WITHOUT);
    return svg.append("</svg>").toString();
  }

  private static void curve(StringBuilder svg, List<AtTurn> points, String color) {
    svg.append(
        "<polyline fill=\"none\" stroke-width=\"2\" stroke=\"%s\" points=\"".formatted(color));
    for (AtTurn point : points) {
      svg.append(number(x(point.turn()))).append(',').append(number(y(point.share()))).append(' ');
    }
    svg.append("\"/>");
  }

  private static String bars(Measured with, Measured without) {
    StringBuilder svg = open();
    double most = 1e-9;
    for (int layer = 0; layer < with.attentionByLayer().size(); layer++) {
      most = Math.max(most, with.attentionByLayer().get(layer));
      most = Math.max(most, without.attentionByLayer().get(layer));
    }
    int layers = with.attentionByLayer().size();
    double step = (double) (WIDTH - MARGIN) / layers;
    for (int layer = 0; layer < layers; layer++) {
      double left = MARGIN + layer * step;
      bar(svg, left + step * 0.15, step * 0.3, with.attentionByLayer().get(layer), most, WITH);
      bar(svg, left + step * 0.5, step * 0.3, without.attentionByLayer().get(layer), most, WITHOUT);
      label(svg, left + step * 0.4, HEIGHT - 8, "layer " + layer);
    }
    return svg.append("</svg>").toString();
  }

  private static void bar(
      StringBuilder svg, double left, double width, double value, double most, String color) {
    double top = y(0.9 * value / most);
    svg.append(
        "<rect x=\"%s\" y=\"%s\" width=\"%s\" height=\"%s\" fill=\"%s\"/>"
            .formatted(number(left), number(top), number(width), number(y(0) - top), color));
    label(svg, left, top - 4, String.format(Locale.ROOT, "%.3f", value));
  }

  private static StringBuilder open() {
    return new StringBuilder(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\">"
            .formatted(WIDTH, HEIGHT, WIDTH));
  }

  private static void line(StringBuilder svg, double x1, double y1, double x2, double y2) {
    svg.append(
        "<line x1=\"%s\" y1=\"%s\" x2=\"%s\" y2=\"%s\" stroke=\"#ddd\"/>"
            .formatted(number(x1), number(y1), number(x2), number(y2)));
  }

  private static void label(StringBuilder svg, double x, double y, String text) {
    svg.append("<text x=\"%s\" y=\"%s\">%s</text>".formatted(number(x), number(y), text));
  }

  private static double x(int turn) {
    return MARGIN
        + (double) (WIDTH - MARGIN - 12) * (turn - 1) / (GhostAttentionMeasure.LAST_TURN - 1);
  }

  private static double y(double share) {
    return HEIGHT - 26 - share * (HEIGHT - 46);
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, "%.1f", value);
  }
}
