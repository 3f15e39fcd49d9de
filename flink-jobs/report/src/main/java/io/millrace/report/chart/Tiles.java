package io.millrace.report.chart;

/** The few figures that are read first, large. */
public final class Tiles {

  private final StringBuilder tiles = new StringBuilder();

  /**
   * A figure more.
   *
   * @param name what it is
   * @param value as it is written
   * @param beside what it is to be compared with
   */
  public Tiles add(String name, String value, String beside) {
    tiles.append(
        "<div class=\"tile\"><span>%s</span><b>%s</b><small>%s</small></div>\n"
            .formatted(Html.escape(name), Html.escape(value), Html.escape(beside)));
    return this;
  }

  /** The row of figures; empty where there are none. */
  public String html() {
    return tiles.isEmpty() ? "" : "<div class=\"tiles\">\n" + tiles + "</div>\n";
  }
}
