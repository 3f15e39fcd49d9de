package io.millrace.report.page;

import com.fasterxml.jackson.annotation.JsonTypeInfo;
import io.millrace.report.chart.Figure;
import java.util.List;

/** A part of a section, as the templates read it. */
@JsonTypeInfo(use = JsonTypeInfo.Id.SIMPLE_NAME, property = "kind")
sealed interface Block {

  /** A paragraph of plain text. */
  record Paragraph(String text) implements Block {}

  /** Charts side by side. */
  record Figures(List<Figure> figures) implements Block {}

  /** Important numbers, large. */
  record Tiles(List<Tile> tiles) implements Block {}

  /** A table. */
  record Rows(List<Cell> header, List<List<Cell>> rows) implements Block {}

  /** What a column holds. */
  enum Kind {
    TEXT(""),
    /** Numbers stand at the right. */
    NUMBER("n"),
    /** Paths and digests, in letters of one width. */
    CODE("code");

    private final String style;

    Kind(String style) {
      this.style = style;
    }
  }

  /** A cell of a table, with the style of its column. */
  record Cell(String text, String style) {
    Cell(String text, Kind kind) {
      this(text, kind.style);
    }
  }
}
