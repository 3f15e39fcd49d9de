package io.millrace.model.rlhf;

/**
 * Generalised advantage estimation (Schulman et al., arXiv 1506.02438, equation 16).
 *
 * @param advantages Â_t, {@code [r]}, not whitened
 * @param returns Â_t + V_t, what the critic is to learn, {@code [r]}
 */
public record Advantages(double[] advantages, double[] returns) {

  /**
   * Â_t = δ_t + γλ·Â_{t+1} with δ_t = r_t + γ·V_{t+1} − V_t; after the last token V is 0.
   *
   * @param rewards r_t, {@code [r]}
   * @param values V_t, {@code [r]}
   */
  public static Advantages of(double[] rewards, double[] values, double gamma, double lambda) {
    if (rewards.length != values.length) {
      throw new IllegalArgumentException(
          rewards.length + " rewards do not match " + values.length + " values");
    }
    double[] advantages = new double[rewards.length];
    double[] returns = new double[rewards.length];
    double next = 0;
    double nextValue = 0;
    for (int t = rewards.length - 1; t >= 0; t--) {
      double delta = rewards[t] + gamma * nextValue - values[t];
      next = delta + gamma * lambda * next;
      nextValue = values[t];
      advantages[t] = next;
      returns[t] = next + values[t];
    }
    return new Advantages(advantages, returns);
  }
}
