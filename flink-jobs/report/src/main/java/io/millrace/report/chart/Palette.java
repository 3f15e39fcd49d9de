package io.millrace.report.chart;

/** Chooses the colour of a series, as a style class of the page. */
enum Palette {
  /** Different colours, for series without an order. */
  DISTINCT {
    @Override
    String style(int series, int count) {
      return "c" + series % COLOURS;
    }
  },

  /** Shades from light to strong, for series that follow each other, such as versions. */
  ORDERED {
    @Override
    String style(int series, int count) {
      return "o"
          + (count < 2 ? SHADES - 1 : Math.round((float) series * (SHADES - 1) / (count - 1)));
    }
  };

  static final int COLOURS = 6;
  static final int SHADES = 6;

  /**
   * The style class of a series.
   *
   * @param series its index
   * @param count the number of all series
   */
  abstract String style(int series, int count);
}
