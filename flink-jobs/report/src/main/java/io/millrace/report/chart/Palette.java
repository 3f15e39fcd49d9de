package io.millrace.report.chart;

/** Which of the page's colours a series has, as a style class. */
enum Palette {
  /** Colours that are told apart; for series that have no order. */
  DISTINCT {
    @Override
    String style(int series, int count) {
      return "c" + series % COLOURS;
    }
  },

  /** From light to strong; for series that follow each other, such as versions. */
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
   * A series' class.
   *
   * @param count of all series
   */
  abstract String style(int series, int count);
}
