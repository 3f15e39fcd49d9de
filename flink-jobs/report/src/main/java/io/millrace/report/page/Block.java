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

  /**
   * A cell of a table.
   *
   * @param number whether it belongs to a column of numbers, which stand at the right
   */
  record Cell(String text, boolean number) {}
}
