package io.millrace.report.page;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.report.chart.BarChart;
import io.millrace.report.chart.BarChart.Bar;
import io.millrace.report.chart.Drawing;
import io.millrace.report.chart.Format;
import io.millrace.report.chart.LineChart;
import io.millrace.report.chart.Point;
import io.millrace.report.chart.Series;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.w3c.dom.Element;

/** A page shows every text as text: hostile text is neither markup nor a template. */
class PageTest {

  private static final List<String> ELEMENTS =
      List.of(
          "title", "h1", "h2", "a", "p", "th", "td", "span", "b", "small", "figcaption", "text");

  private static String page(String text) {
    LineChart lines =
        new LineChart(text, text, text)
            .note(text)
            .names(List.of("zero", text))
            .add(Series.of(text, List.of(Point.of(0, 1), Point.of(1, 2))))
            .add(Series.of("other", List.of(Point.of(1, 1))));
    BarChart bars = new BarChart(text, text, List.of(text)).add(text, List.of(Bar.of(1)));
    return new Page(text, text)
        .section(text)
        .text(text)
        .section("tiles")
        .tiles(List.of(new Tile(text, text, text)))
        .section("table")
        .table(Table.of(List.of(text)).text(text, record -> record))
        .section("charts")
        .charts(lines, bars)
        .html();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "<script>alert(1)</script>",
        "</title></style></svg><img src=x onerror=alert(1)>",
        "<!-- & &amp; &lt; &#60; -->",
        "]]><![CDATA[ <?xml ?>",
        "\" onload=\"alert(1)\" x='y'",
        "{{ 7 * 7 }}",
        "{{ page.title }}{{ block|safe }}",
        "{% raw %}{% for x in page.sections %}x{% endfor %}",
        "{% include \"style.css\" %}",
        "{# gone #}",
        "}} %} #}",
        "{% autoescape false %}<b>{{ page }}</b>{% endautoescape %}",
        "a\\n\\\"b\\{{ c }}",
        "\u00e4\u4e2d\ud83d\ude00\u202e",
      })
  void aTextIsNeitherMarkupNorATemplate(String hostile) {
    String html = page(hostile);
    String harmless = page("harmless");
    Drawing page = Drawing.of(html);
    Drawing expected = Drawing.of(harmless);
    for (String element : ELEMENTS) {
      List<String> texts = texts(expected, element);
      assertTrue(texts.stream().anyMatch(text -> text.contains("harmless")), element);
      assertEquals(
          texts.stream().map(text -> text.replace("harmless", hostile)).toList(),
          texts(page, element),
          element);
    }
    assertEquals(
        List.of(hostile, hostile),
        page.all("svg").stream().map(svg -> svg.getAttribute("aria-label")).toList());
    assertEquals(names(expected), names(page), "the hostile text adds no element");
  }

  private static List<String> texts(Drawing page, String element) {
    return page.all(element).stream().map(Element::getTextContent).toList();
  }

  private static List<String> names(Drawing page) {
    return page.all("*").stream().map(Element::getTagName).toList();
  }

  @Test
  void charactersThatXmlForbidsAreReplaced() {
    Drawing page = Drawing.of(page("a\u0000b\u001b[0mc\ud800d\uffffe\tf"));
    assertEquals("a\ufffdb\ufffd[0mc\ufffdd\ufffde\tf", texts(page, "h1").getFirst());
  }

  @Test
  void aPageFetchesAndRunsNothing() {
    String html = page("harmless");
    assertFalse(html.replace("http://www.w3.org/2000/svg", "").contains("://"));
    assertFalse(html.contains(" src="));
    assertFalse(html.contains("@import"));
    assertTrue(html.contains("content=\"default-src 'none'; style-src 'unsafe-inline'\""));
    assertTrue(html.contains("prefers-color-scheme: dark"));
  }

  @Test
  void theStyleSheetStandsInThePageAsItIsInItsFile() throws IOException {
    try (InputStream file = Page.class.getResourceAsStream("style.css")) {
      String css = new String(file.readAllBytes(), StandardCharsets.UTF_8).strip();
      assertTrue(css.length() > 1000);
      assertTrue(page("harmless").contains(css));
    }
  }

  @Test
  void sectionsWithoutContentAreLeftOut() {
    Page page =
        new Page("title", "subtitle")
            .section("one")
            .charts(new LineChart("a", "b", "c"))
            .table(Table.of(List.of()).text("x", Object::toString))
            .tiles(List.of())
            .section("two")
            .text("here");
    Drawing drawing = Drawing.of(page.html());
    assertEquals(List.of("two"), texts(drawing, "h2"));
    assertEquals(List.of(), texts(drawing, "nav"), "two sections need no list of sections");
    assertEquals(
        List.of("one", "two", "three"),
        texts(
            Drawing.of(
                new Page("a", "b")
                    .section("one")
                    .text("1")
                    .section("two")
                    .text("2")
                    .section("three")
                    .text("3")
                    .html()),
            "a"));
  }

  @Test
  void numbersStandAtTheRight() {
    Drawing drawing =
        Drawing.of(
            new Page("a", "b")
                .section("c")
                .table(
                    Table.of(List.of(0.25, 0.5))
                        .text("text", value -> "t" + value)
                        .number("number", Format.PERCENT, value -> value)
                        .number("interval", value -> value + " ± 0.1"))
                .html());
    List<String> classes =
        drawing.all("td").stream().map(cell -> cell.getAttribute("class")).toList();
    assertEquals(List.of("", "n", "n", "", "n", "n"), classes);
    assertEquals(
        List.of("t0.25", "25 %", "0.25 ± 0.1", "t0.5", "50 %", "0.5 ± 0.1"), texts(drawing, "td"));
    assertEquals(List.of("text", "number", "interval"), texts(drawing, "th"));
  }

  @Test
  void aTemplateThatDoesNotFitItsModelIsAnError() {
    IllegalStateException e =
        assertThrows(
            IllegalStateException.class,
            () -> Templates.render("tiles.html", "block", Map.of("other", List.of())));
    assertTrue(e.getMessage().startsWith("tiles.html: "), e.getMessage());
    assertThrows(
        IllegalStateException.class, () -> Templates.render("none.html", "page", Map.of()));
  }

  @Test
  void aLongRunMakesASmallFile() {
    List<Point> points = new ArrayList<>();
    for (int i = 0; i < 50_000; i++) {
      points.add(Point.of(i, Math.sin(i / 100.0)));
    }
    String html =
        new Page("a", "b")
            .section("c")
            .charts(new LineChart("t", "x", "y").add(Series.of("s", points)))
            .html();
    assertTrue(html.length() < 60_000, html.length() + " characters");
  }
}
