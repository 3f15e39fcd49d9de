package io.millrace.report.page;

import io.millrace.report.chart.Chart;
import io.millrace.report.chart.Figure;
import java.util.ArrayList;
import java.util.List;

/** One HTML file that needs no other file, for light and dark screens and for paper. */
public final class Page {

  private final String title;
  private final String subtitle;
  private final List<Section> sections = new ArrayList<>();

  private record Section(String id, String heading, List<Block> blocks) {}

  private record View(String title, String subtitle, List<Section> sections) {}

  /** A page without sections. */
  public Page(String title, String subtitle) {
    this.title = title;
    this.subtitle = subtitle;
  }

  /** Begins a section; later calls add to it. A section without content is left out. */
  public Page section(String heading) {
    sections.add(new Section("s" + sections.size(), heading, new ArrayList<>()));
    return this;
  }

  /** Adds a paragraph of plain text. */
  public Page text(String paragraph) {
    return add(new Block.Paragraph(paragraph));
  }

  /** Adds charts side by side; empty charts are left out. */
  public Page charts(Chart... charts) {
    return charts(List.of(charts));
  }

  /** Adds charts side by side; empty charts are left out. */
  public Page charts(List<? extends Chart> charts) {
    List<Figure> figures =
        charts.stream().filter(chart -> !chart.isEmpty()).map(Chart::figure).toList();
    return figures.isEmpty() ? this : add(new Block.Figures(figures));
  }

  /** Adds a table; a table without rows is left out. */
  public Page table(Table<?> table) {
    return table.isEmpty() ? this : add(table.block());
  }

  /** Adds a row of important numbers. */
  public Page tiles(List<Tile> tiles) {
    return tiles.isEmpty() ? this : add(new Block.Tiles(List.copyOf(tiles)));
  }

  private Page add(Block block) {
    sections.getLast().blocks().add(block);
    return this;
  }

  /** The content of the file, which is well-formed XML too. */
  public String html() {
    List<Section> filled = sections.stream().filter(s -> !s.blocks().isEmpty()).toList();
    return Templates.render("page.html", "page", new View(title, subtitle, filled));
  }
}
