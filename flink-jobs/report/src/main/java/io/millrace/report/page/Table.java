package io.millrace.report.chart;

import java.util.ArrayList;
import java.util.List;

/** Rows and columns; numbers stand at the right of their columns. */
public final class Table {

  private final List<String> header;
  private final List<List<String>> rows = new ArrayList<>();
  private final boolean[] texts;

  /** An empty table. */
  public Table(List<String> header) {
    this.header = List.copyOf(header);
    this.texts = new boolean[header.size()];
  }

  /** A row more: texts, whole numbers, and other numbers as {@link Format#NUMBER} writes them. */
  public Table row(Object... cells) {
    if (cells.length != header.size()) {
      throw new IllegalArgumentException(
          "%d cells in a table of %d columns".formatted(cells.length, header.size()));
    }
    List<String> row = new ArrayList<>();
    for (int i = 0; i < cells.length; i++) {
      row.add(text(cells[i]));
      texts[i] |= cells[i] instanceof String text && !isFigure(text);
    }
    rows.add(row);
    return this;
  }

  private static String text(Object cell) {
    return switch (cell) {
      case Double number -> Format.NUMBER.of(number);
      case Number number -> Format.NUMBER.of(number.doubleValue());
      default -> cell.toString();
    };
  }

  /**
   * Texts that stand for figures, such as "93 %" or a dash, do not make their column one of texts.
   */
  private static boolean isFigure(String text) {
    return text.isEmpty() || text.matches("[–−+\\d][\\d., %±–−+to()]*");
  }

  /** Whether there is nothing to show. */
  public boolean isEmpty() {
    return rows.isEmpty();
  }

  /** The table; empty where it has no rows. */
  public String html() {
    if (isEmpty()) {
      return "";
    }
    StringBuilder html = new StringBuilder("<div class=\"scroll\"><table>\n<thead>");
    row(html, "th", header);
    html.append("</thead>\n<tbody>\n");
    rows.forEach(row -> row(html, "td", row));
    return html.append("</tbody></table></div>\n").toString();
  }

  private void row(StringBuilder html, String element, List<String> cells) {
    html.append("<tr>");
    for (int i = 0; i < cells.size(); i++) {
      html.append(
          "<%s%s>%s</%s>"
              .formatted(
                  element, texts[i] ? "" : " class=\"n\"", Html.escape(cells.get(i)), element));
    }
    html.append("</tr>\n");
  }
}
