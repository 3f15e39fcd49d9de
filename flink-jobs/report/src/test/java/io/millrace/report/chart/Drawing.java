package io.millrace.report.chart;

import io.millrace.report.page.Page;
import java.io.IOException;
import java.io.StringReader;
import java.util.ArrayList;
import java.util.List;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.ParserConfigurationException;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;
import org.xml.sax.InputSource;
import org.xml.sax.SAXException;

/** A parsed drawing: its elements, and axes that map pixels to values. */
public final class Drawing {

  private final Document document;

  private Drawing(Document document) {
    this.document = document;
  }

  /** A chart alone on a page. */
  static Drawing of(Chart chart) {
    return of(new Page("title", "subtitle").section("section").charts(chart).html());
  }

  /** Markup, which must be well-formed. */
  public static Drawing of(String html) {
    String xml = html.startsWith("<!DOCTYPE html>") ? html.substring(15) : html;
    try {
      return new Drawing(
          DocumentBuilderFactory.newInstance()
              .newDocumentBuilder()
              .parse(new InputSource(new StringReader(xml))));
    } catch (SAXException | IOException | ParserConfigurationException e) {
      throw new AssertionError("not well-formed: " + e.getMessage() + "\n" + html, e);
    }
  }

  /** All elements of a name. */
  public List<Element> all(String name) {
    NodeList nodes = document.getElementsByTagName(name);
    List<Element> elements = new ArrayList<>();
    for (int i = 0; i < nodes.getLength(); i++) {
      elements.add((Element) nodes.item(i));
    }
    return elements;
  }

  /** All lines of a style. */
  public List<Element> lines(String style) {
    return all("line").stream().filter(line -> line.getAttribute("class").equals(style)).toList();
  }

  /** An attribute as a number. */
  public static double number(Element element, String attribute) {
    return Double.parseDouble(element.getAttribute(attribute));
  }

  /** An axis with equal steps, from its outermost labels. */
  public Scale scale(boolean horizontal) {
    List<Element> labels =
        all("text").stream()
            .filter(text -> text.getAttribute("class").equals("tick"))
            .filter(text -> text.getAttribute("text-anchor").equals(horizontal ? "middle" : "end"))
            .toList();
    String position = horizontal ? "x" : "y";
    // A label stands four pixels below its line.
    double offset = horizontal ? 0 : -4;
    Element first = labels.getFirst();
    Element last = labels.getLast();
    return new Scale(
        value(first),
        number(first, position) + offset,
        value(last),
        number(last, position) + offset);
  }

  private static double value(Element label) {
    String text = label.getTextContent().replace("−", "-").replace(",", "");
    return text.endsWith(" %")
        ? Double.parseDouble(text.substring(0, text.length() - 2)) / 100
        : Double.parseDouble(text);
  }

  /** Two labels of an axis with their pixels. */
  public record Scale(double low, double lowPixel, double high, double highPixel) {

    /** The value at a pixel. */
    public double value(double pixel) {
      return low + (pixel - lowPixel) / (highPixel - lowPixel) * (high - low);
    }

    /** The pixel of a value. */
    public double pixel(double value) {
      return lowPixel + (value - low) / (high - low) * (highPixel - lowPixel);
    }

    /** The difference of values over a number of pixels. */
    public double of(double pixels) {
      return Math.abs(pixels / (highPixel - lowPixel) * (high - low));
    }
  }
}
