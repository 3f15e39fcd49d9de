package io.millrace.model.tensor;

/**
 * Settings for drawing one token from each of n rows of logits.
 *
 * @param temperatures divides the logits of each row, {@code [n]}. At 0 the token with the highest
 *     logit is taken, and the lowest id among equals
 * @param topPs probability mass of the nucleus, {@code [n]}: a token is drawn from the smallest set
 *     of the most probable tokens that holds this mass (Holtzman et al., arXiv 1904.09751, section
 *     3.1). Among equals the lower ids are kept; 1 keeps all tokens
 * @param uniforms a number in [0, 1) for each row, {@code [n]}. The drawn token is the one whose
 *     interval of the nucleus' cumulative distribution, in order of token id, contains the number
 */
public record Draws(float[] temperatures, float[] topPs, double[] uniforms) {

  public Draws {
    if (temperatures.length != topPs.length || topPs.length != uniforms.length) {
      throw new IllegalArgumentException(
          "draws: %d temperatures, %d top-p and %d uniform numbers; give one of each for every row"
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

  /** Number of rows, n. */
  public int count() {
    return uniforms.length;
  }
}
