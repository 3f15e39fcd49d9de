package io.millrace.cli.chat;

import io.millrace.schemas.Printable;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;

/**
 * Two growing texts side by side, without control characters. A row is printed for good when both
 * of its halves are certain; on a terminal the row in progress is drawn again and again.
 */
final class Columns {

  private static final String BETWEEN = " │ ";

  private final PrintWriter out;
  private final boolean redraw;
  private final int width;
  private final StringBuilder[] texts = {new StringBuilder(), new StringBuilder()};
  private final boolean[] ended = new boolean[2];
  private int printed;

  /**
   * @param width characters of a row
   * @param redraw whether to draw the row in progress
   */
  Columns(PrintWriter out, int width, boolean redraw) {
    this.out = out;
    this.redraw = redraw;
    this.width = (width - BETWEEN.length()) / 2;
  }

  void header(String left, String right) {
    out.println(row(cut(Printable.line(left)), cut(Printable.line(right))));
    out.println("─".repeat(width + 1) + "┼" + "─".repeat(width + 1));
  }

  private String cut(String title) {
    return wrap(title, width).getFirst();
  }

  /**
   * Adds text to a column.
   *
   * @param side 0 for the left one, 1 for the right one
   */
  void add(int side, String text) {
    texts[side].append(text);
  }

  /** The column gets no more text. */
  void end(int side) {
    ended[side] = true;
  }

  /** Prints the rows that are certain. */
  void print() {
    List<String> left = wrap(texts[0].toString(), width);
    List<String> right = wrap(texts[1].toString(), width);
    int certain = Math.min(certain(0, left), certain(1, right));
    int rows = Math.min(certain, Math.max(left.size(), right.size()));
    for (; printed < rows; printed++) {
      out.println((redraw ? "\r" : "") + row(line(left, printed), line(right, printed)));
    }
    if (redraw && printed < Math.max(left.size(), right.size())) {
      out.print("\r" + row(line(left, printed), line(right, printed)));
      out.flush();
    }
  }

  /** Number of rows that further text does not change. */
  private int certain(int side, List<String> lines) {
    return ended[side] ? Integer.MAX_VALUE : lines.size() - 1;
  }

  private static String line(List<String> lines, int row) {
    return row < lines.size() ? lines.get(row) : "";
  }

  private String row(String left, String right) {
    // Padded on both sides, to cover what was drawn there before.
    return left
        + " ".repeat(width - cells(left))
        + BETWEEN
        + right
        + " ".repeat(redraw ? width - cells(right) : 0);
  }

  /** Lines of at most {@code width} cells, broken at spaces where there are any. */
  static List<String> wrap(String text, int width) {
    List<String> lines = new ArrayList<>();
    for (String paragraph : text.replace("\t", "  ").split("\n", -1)) {
      StringBuilder line = new StringBuilder();
      int used = 0;
      int space = -1;
      for (int i = 0; i < paragraph.length(); ) {
        int c = paragraph.codePointAt(i);
        i += Character.charCount(c);
        if (used + cells(c) > width) {
          String rest = "";
          if (c == ' ') {
            lines.add(line.toString());
            line.setLength(0);
            used = 0;
            space = -1;
            continue;
          } else if (space > 0) {
            rest = line.substring(space + 1);
            line.setLength(space);
          }
          lines.add(line.toString());
          line = new StringBuilder(rest);
          used = cells(rest);
          space = -1;
        }
        if (c == ' ') {
          space = line.length();
        }
        line.appendCodePoint(c);
        used += cells(c);
      }
      lines.add(line.toString());
    }
    return lines;
  }

  private static int cells(String text) {
    return text.codePoints().map(Columns::cells).sum();
  }

  /** Cells that a terminal gives a character: two for wide scripts, none for combining marks. */
  private static int cells(int c) {
    int type = Character.getType(c);
    if (type == Character.NON_SPACING_MARK || type == Character.ENCLOSING_MARK) {
      return 0;
    }
    return switch (Character.UnicodeScript.of(c)) {
      case HAN, HIRAGANA, KATAKANA, HANGUL -> 2;
      default -> c >= 0x1f300 && c <= 0x1faff ? 2 : 1;
    };
  }
}
