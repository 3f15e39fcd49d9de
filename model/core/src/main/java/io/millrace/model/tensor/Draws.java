package io.millrace.model.tensor;

/**
 * How a token is drawn from each of n rows of logits.
 *
 * @param temperatures divides a row's logits; 0 takes the likeliest token, the lowest of equals,
 *     {@code [n]}
 * @param topPs draws from the smallest set of likeliest tokens that holds this much probability
 *     (Holtzman et al., arXiv 1904.09751, section 3.1), equals by index; 1 draws from all, {@code
 *     [n]}
 * @param uniforms where in [0, 1) of the kept tokens' cumulative probability, in order of index,
 *     the drawn token lies, {@code [n]}
 */
public record Draws(float[] temperatures, float[] topPs, double[] uniforms) {

  public Draws {
    if (temperatures.length != topPs.length || topPs.length != uniforms.length) {
      throw new IllegalArgumentException(
          "%d temperatures, %d top-p and %d uniform numbers are not of the same rows"
              .formatted(temperatures.length, topPs.length, uniforms.length));
    }
    for (int i = 0; i < uniforms.length; i++) {
      check("temperature", i, temperatures[i], temperatures[i] >= 0, "at least 0");
      check("top-p", i, topPs[i], topPs[i] > 0 && topPs[i] <= 1, "in (0, 1]");
      check("uniform number", i, uniforms[i], uniforms[i] >= 0 && uniforms[i] < 1, "in [0, 1)");
    }
  }

  private static void check(String name, int row, double value, boolean valid, String range) {
    if (!valid || Double.isInfinite(value)) {
      throw new IllegalArgumentException(
          "%s of row %d must be %s, not %s".formatted(name, row, range, value));
    }
  }

  public int count() {
    return uniforms.length;
  }
}
