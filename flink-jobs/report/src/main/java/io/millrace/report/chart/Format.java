package io.millrace.report.chart;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.Locale;

/** Writes numbers for people. */
public enum Format {
  /** Three significant digits; whole numbers whole. */
  NUMBER {
    @Override
    public String of(double value) {
      double size = Math.abs(value);
      if (!Double.isFinite(value)) {
        return NOTHING;
      }
      if (size >= MANY || (value == Math.rint(value) && size >= 1)) {
        return String.format(Locale.ROOT, "%,d", Math.round(value)).replace("-", MINUS);
      }
      if (size > 0 && size < FEW) {
        return String.format(Locale.ROOT, "%.1e", value).replace("-", MINUS);
      }
      BigDecimal rounded = new BigDecimal(value, new MathContext(3));
      String text = rounded.signum() == 0 ? "0" : rounded.stripTrailingZeros().toPlainString();
      return text.replace("-", MINUS);
    }
  },

  /** Three digits after the point, for numbers that people compare. */
  THOUSANDTHS {
    @Override
    public String of(double value) {
      return Double.isFinite(value)
          ? String.format(Locale.ROOT, "%.3f", Math.rint(value * 1000) / 1000 + 0.0)
              .replace("-", MINUS)
          : NOTHING;
    }
  },

  /** A share from 0 to 1 in per cent, with at most one digit after the point. */
  PERCENT {
    @Override
    public String of(double value) {
      if (!Double.isFinite(value)) {
        return NOTHING;
      }
      double tenths = Math.rint(value * 1000) / 10;
      String number =
          tenths == Math.rint(tenths)
              ? String.format(Locale.ROOT, "%.0f", tenths)
              : String.format(Locale.ROOT, "%.1f", tenths);
      return (number.equals("-0") ? "0" : number.replace("-", MINUS)) + " %";
    }
  };

  /**
   * The text of a tick: the same number of digits after the point for all ticks of an axis, and
   * enough to tell them apart.
   *
   * @param step least distance of two ticks
   */
  String tick(double value, double step) {
    double scale = this == PERCENT ? 100 : 1;
    // Three digits are exact for the steps of a linear axis.
    int digits = new BigDecimal(step * scale, new MathContext(3)).stripTrailingZeros().scale();
    if (digits > MOST_DIGITS) {
      return of(value);
    }
    String text =
        String.format(Locale.ROOT, "%,." + Math.max(0, digits) + "f", value * scale + 0.0);
    String number = text.matches("-0(\\.0*)?") ? text.substring(1) : text.replace("-", MINUS);
    return this == PERCENT ? number + " %" : number;
  }

  private static final int MOST_DIGITS = 6;
  private static final String NOTHING = "–";
  private static final String MINUS = "−";
  private static final double MANY = 1000;
  private static final double FEW = 1e-3;

  /** The number as text; a dash for a value that is not finite. */
  public abstract String of(double value);
}
