package io.millrace.report.chart;

import java.util.ArrayList;
import java.util.List;

/** One HTML file that needs nothing beside itself, for light and dark screens and for paper. */
public final class Page {

  private final String title;
  private final String subtitle;
  private final List<Section> sections = new ArrayList<>();

  private record Section(String id, String heading, StringBuilder body) {}

  /** An empty page. */
  public Page(String title, String subtitle) {
    this.title = title;
    this.subtitle = subtitle;
  }

  /** Begins a section; figures and texts that follow are its. */
  public Page section(String heading) {
    sections.add(new Section("s" + sections.size(), heading, new StringBuilder()));
    return this;
  }

  /** A paragraph of plain text. */
  public Page text(String paragraph) {
    return add("<p>" + Html.escape(paragraph) + "</p>\n");
  }

  /** Figures side by side where there is room; those that have nothing to draw are left out. */
  public Page figures(String... figures) {
    List<String> drawn = List.of(figures).stream().filter(figure -> !figure.isEmpty()).toList();
    return drawn.isEmpty()
        ? this
        : add("<div class=\"figures\">\n" + String.join("", drawn) + "</div>\n");
  }

  /** A table, or other markup of this package's. */
  public Page add(String html) {
    sections.getLast().body().append(html);
    return this;
  }

  /** The file's content, well-formed as XML too. */
  public String html() {
    List<Section> filled = sections.stream().filter(s -> !s.body().isEmpty()).toList();
    StringBuilder html = new StringBuilder("<!DOCTYPE html>\n<html lang=\"en\"><head>");
    html.append("<meta charset=\"utf-8\"/>");
    html.append("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>");
    // Whatever slips in as markup shall neither fetch nor run anything.
    html.append(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src"
            + " 'unsafe-inline'\"/>");
    html.append("<title>").append(Html.escape(title)).append("</title>\n");
    html.append("<style>\n").append(Style.CSS).append("</style></head>\n<body>\n<header><h1>");
    html.append(Html.escape(title)).append("</h1>\n<p>").append(Html.escape(subtitle));
    html.append("</p></header>\n");
    if (filled.size() > 2) {
      html.append("<nav>");
      filled.forEach(
          section ->
              html.append(
                  "<a href=\"#%s\">%s</a> "
                      .formatted(section.id(), Html.escape(section.heading()))));
      html.append("</nav>\n");
    }
    html.append("<main>\n");
    filled.forEach(
        section ->
            html.append(
                "<section id=\"%s\"><h2>%s</h2>\n%s</section>\n"
                    .formatted(section.id(), Html.escape(section.heading()), section.body())));
    return html.append("</main>\n</body></html>\n").toString();
  }
}
