package io.millrace.report.chart;

/** A chart that a page can show. */
public sealed interface Chart permits LineChart, BarChart {

  /** Whether the chart has nothing to draw. */
  boolean isEmpty();

  /**
   * The drawing.
   *
   * @throws IllegalStateException where the chart is empty
   */
  Figure figure();
}
