package io.millrace.report.chart;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.millrace.report.chart.BarChart.Bar;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Element;

/** Marks are at the pixels of their values. */
class ChartTest {

  private static final double PIXEL = 0.1;

  @Test
  void pointsStandAtTheirValues() {
    List<Point> points = List.of(Point.of(0, -3), Point.of(7, 12.5), Point.of(40, 41));
    Drawing drawing =
        Drawing.of(new LineChart("Reward", "iteration", "logit").add(Series.of("V1", points)));

    Drawing.Scale x = drawing.scale(true);
    Drawing.Scale y = drawing.scale(false);
    List<Element> dots = drawing.all("circle");
    assertEquals(points.size(), dots.size());
    for (int i = 0; i < points.size(); i++) {
      assertEquals(points.get(i).x(), x.value(Drawing.number(dots.get(i), "cx")), x.of(PIXEL));
      assertEquals(points.get(i).y(), y.value(Drawing.number(dots.get(i), "cy")), y.of(PIXEL));
    }
    String[] line = drawing.all("polyline").getFirst().getAttribute("points").strip().split(" ");
    assertEquals(points.size(), line.length);
    assertEquals(dots.get(1).getAttribute("cx") + "," + dots.get(1).getAttribute("cy"), line[1]);
    assertEquals("V1: 12.5 at 7", dots.get(1).getTextContent());
  }

  @Test
  void aLineGoesFromLeftToRight() {
    List<Point> points = List.of(Point.of(3, 1), Point.of(1, 2), Point.of(2, 3));
    Drawing drawing = Drawing.of(new LineChart("a", "b", "c").add(Series.of("s", points)));
    List<Double> at = drawing.all("circle").stream().map(dot -> Drawing.number(dot, "cx")).toList();
    assertEquals(at.stream().sorted().toList(), at);
  }

  @Test
  void aLongLineKeepsItsEndsAndItsExtremes() {
    List<Point> points = new ArrayList<>();
    for (int i = 0; i < 10_000; i++) {
      points.add(Point.of(i, i == 4321 ? 9 : i == 8765 ? -9 : Math.sin(i)));
    }
    Drawing drawing = Drawing.of(new LineChart("a", "b", "c").add(Series.of("s", points)));
    List<String> texts = drawing.all("circle").stream().map(Element::getTextContent).toList();
    assertTrue(texts.size() <= Thinning.MOST_POINTS, texts.size() + " points");
    assertTrue(texts.contains("s: 9 at 4,321"), "the highest");
    assertTrue(texts.contains("s: −9 at 8,765"), "the lowest");
    assertTrue(texts.getLast().endsWith("at 9,999"), texts.getLast());
  }

  @Test
  void labelsOfTheHorizontalAxisNeitherOverlapNorAreCut() {
    List<String> names = IntStream.rangeClosed(1, 30).mapToObj(i -> "version " + i).toList();
    List<Point> points = IntStream.range(0, 30).mapToObj(i -> Point.of(i, i)).toList();
    List<Bar> bars = names.stream().map(name -> Bar.of(1)).toList();
    for (Chart chart :
        List.of(
            new LineChart("a", "version", "c").names(names).add(Series.of("s", points)),
            new BarChart("a", "b", names).add("s", bars))) {
      List<Element> labels =
          Drawing.of(chart).all("text").stream()
              .filter(text -> text.getTextContent().startsWith("version "))
              .toList();
      assertTrue(labels.size() >= 4, labels.size() + " labels");
      double end = 0;
      for (Element label : labels) {
        // Letters of a sans-serif font at 12 pixels are some 6.2 pixels wide.
        double half = 6.2 * label.getTextContent().length() / 2;
        double middle = Drawing.number(label, "x");
        assertTrue(middle - half >= end, label.getTextContent() + " overlaps or is cut");
        end = middle + half;
      }
      assertTrue(end <= Canvas.WIDTH, "the last label is cut");
    }
  }

  @Test
  void noTwoTicksOfAnAxisHaveTheSameText() {
    for (double width : new double[] {1e-4, 0.0007, 0.003, 0.2, 0.9, 7, 1234, 5e6}) {
      for (Format format : Format.values()) {
        Axis axis = Axis.linear(12.5, 12.5 + width, 0, 100);
        List<String> labels = axis.ticks().stream().map(tick -> axis.label(tick, format)).toList();
        assertEquals(labels.size(), Set.copyOf(labels).size(), format + " " + labels);
      }
    }
    Axis axis = Axis.linear(-0.5, 1, 0, 100);
    assertEquals(
        List.of("−0.5", "0.0", "0.5", "1.0"),
        axis.ticks().stream().map(tick -> axis.label(tick, Format.NUMBER)).toList());
  }

  @Test
  void logarithmicAxesPutEqualRatiosAtEqualDistances() {
    Drawing drawing =
        Drawing.of(
            new LineChart("K", "k", "logit")
                .logarithmicX()
                .add(
                    Series.of(
                        "max",
                        List.of(Point.of(1, 0), Point.of(2, 1), Point.of(4, 2), Point.of(16, 3)))));
    List<Double> at = drawing.all("circle").stream().map(dot -> Drawing.number(dot, "cx")).toList();
    double octave = at.get(1) - at.get(0);
    assertEquals(octave, at.get(2) - at.get(1), 2 * PIXEL);
    assertEquals(2 * octave, at.get(3) - at.get(2), 2 * PIXEL);
  }

  @Test
  void barsGoFromZeroToTheirValuesAndWhiskersToTheEndsOfTheirIntervals() {
    Drawing drawing =
        Drawing.of(
            new BarChart("Win rate", "share", List.of("V1", "V2"))
                .format(Format.PERCENT)
                .yTo(1)
                .rule(0.5)
                .add("first", List.of(new Bar(0.25, 0.125, 0.5), new Bar(0.75, 0.5, 0.875))));
    Drawing.Scale y = drawing.scale(false);
    List<Element> bars = drawing.all("rect");
    assertEquals(2, bars.size());
    double zero = y.pixel(0);
    for (int i = 0; i < 2; i++) {
      double top = Drawing.number(bars.get(i), "y");
      assertEquals(i == 0 ? 0.25 : 0.75, y.value(top), y.of(PIXEL));
      assertEquals(zero, top + Drawing.number(bars.get(i), "height"), 2 * PIXEL);
    }
    List<Element> whiskers = drawing.lines("whisker");
    assertEquals(0.125, y.value(Drawing.number(whiskers.getFirst(), "y1")), y.of(PIXEL));
    assertEquals(0.5, y.value(Drawing.number(whiskers.getFirst(), "y2")), y.of(PIXEL));
    assertEquals(0.5, y.value(Drawing.number(drawing.lines("rule").getFirst(), "y1")), y.of(PIXEL));
    assertEquals("first, V2: 75 % (50 % to 87.5 %)", bars.get(1).getTextContent());
  }

  @Test
  void negativeBarsHangFromZero() {
    Drawing drawing =
        Drawing.of(
            new BarChart("Score", "logit", List.of("a", "b"))
                .add("score", List.of(Bar.of(-2), Bar.of(4))));
    Drawing.Scale y = drawing.scale(false);
    Element bar = drawing.all("rect").getFirst();
    double top = Drawing.number(bar, "y");
    assertEquals(0, y.value(top), y.of(PIXEL));
    assertEquals(-2, y.value(top + Drawing.number(bar, "height")), y.of(2 * PIXEL));
  }

  @Test
  void whatIsNoNumberIsLeftOutAndNothingGivesNoFigure() {
    assertEmpty(new LineChart("a", "b", "c"));
    assertEmpty(new BarChart("a", "b", List.of()).add("none", List.of()));
    LineChart gaps =
        new LineChart("a", "b", "c")
            .add(Series.of("nothing", List.of(Point.of(1, Double.NaN))))
            .add(Series.of("some", List.of(Point.of(1, 2), Point.of(2, Double.NaN))));
    assertEquals(1, Drawing.of(gaps).all("circle").size());
  }

  private static void assertEmpty(Chart chart) {
    assertTrue(chart.isEmpty());
    assertThrows(IllegalStateException.class, chart::figure);
    assertEquals(List.of(), Drawing.of(chart).all("figure"));
  }

  @Test
  void aSeriesHasABarForEachCategory() {
    BarChart chart = new BarChart("a", "b", List.of("x"));
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> chart.add("two", List.of()));
    assertEquals("series 'two' has 0 bars but the chart has 1 categories", e.getMessage());
  }

  @Test
  void oneValueAloneAndEqualValuesAreDrawn() {
    Drawing one =
        Drawing.of(new LineChart("a", "b", "c").add(Series.of("s", List.of(Point.of(3, 0)))));
    assertTrue(Double.isFinite(Drawing.number(one.all("circle").getFirst(), "cy")));
    Drawing.Scale y =
        Drawing.of(
                new LineChart("a", "b", "c")
                    .add(Series.of("s", List.of(Point.of(1, 5), Point.of(2, 5)))))
            .scale(false);
    assertTrue(Double.isFinite(y.pixel(5)));
  }

  @Test
  void numbersAreWrittenForPeople() {
    assertEquals("0.123", Format.NUMBER.of(0.12345));
    assertEquals("−1.73", Format.NUMBER.of(-1.7346));
    assertEquals("12,345", Format.NUMBER.of(12345.4));
    assertEquals("100", Format.NUMBER.of(100));
    assertEquals("0.3", Format.NUMBER.of(0.1 + 0.2));
    assertEquals("5.0e−04", Format.NUMBER.of(5e-4));
    assertEquals("0", Format.NUMBER.of(0));
    assertEquals("–", Format.NUMBER.of(Double.NaN));
    assertEquals("62.5 %", Format.PERCENT.of(0.625));
    assertEquals("100 %", Format.PERCENT.of(1));
    assertEquals("0 %", Format.PERCENT.of(-0.0001));
  }
}
