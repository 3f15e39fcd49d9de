package io.millrace.model.training;

/** A schedule of the learning rate. */
public sealed interface LearningRate {

  /**
   * The learning rate of an update.
   *
   * @param step number of the update, from 1
   * @throws IllegalArgumentException if step is below 1
   */
  double at(long step);

  static LearningRate constant(double rate) {
    return new Constant(rate);
  }

  static LearningRate cosine(double peak, long warmupSteps, long totalSteps, double finalFraction) {
    return new Cosine(peak, warmupSteps, totalSteps, finalFraction);
  }

  /**
   * The reward models' schedule over a known number of judgments: warm-up over a share of them (3 %
   * in the paper), at least five batches, then cosine to 10 % of the peak (Llama 2, arXiv
   * 2307.09288, section 3.2.2). Its steps are judgments, not updates: call {@link #at} with the
   * number of judgments learned from.
   *
   * @param judgments total number of judgments
   * @param batchSize judgments of an update
   * @param warmupFraction in [0, 1]; 0 means no warm-up
   */
  static LearningRate rewardModel(
      double peak, long judgments, int batchSize, double warmupFraction) {
    check(
        warmupFraction >= 0 && warmupFraction <= 1, "warmupFraction", warmupFraction, "in [0, 1]");
    long warmup =
        warmupFraction == 0
            ? 0
            : Math.max(5L * batchSize, (long) Math.ceil(warmupFraction * judgments));
    return new Cosine(peak, Math.min(warmup, judgments), judgments, 0.1);
  }

  /**
   * A constant learning rate (PPO: 1e-6; Llama 2, arXiv 2307.09288, section 3.2.3).
   *
   * @param rate above 0
   */
  record Constant(double rate) implements LearningRate {

    public Constant {
      check(rate > 0 && Double.isFinite(rate), "rate", rate, "finite and above 0");
    }

    @Override
    public double at(long step) {
      checkStep(step);
      return rate;
    }
  }

  /**
   * Linear warm-up, then half a cosine (Loshchilov &amp; Hutter, arXiv 1608.03983, equation 5,
   * without restarts). With first = max(1, warmupSteps):
   *
   * <pre>
   * step ≤ first   peak · step / first
   * then           peak · (f + (1 − f) · (1 + cos(π·p)) / 2),  p = (step − first) / (totalSteps − first)
   * </pre>
   *
   * Update {@code first} has the rate {@code peak}. Update {@code totalSteps} and all later updates
   * have the rate peak · f.
   *
   * @param peak above 0
   * @param warmupSteps 0 to totalSteps
   * @param totalSteps at least 1
   * @param finalFraction f, in [0, 1]
   */
  record Cosine(double peak, long warmupSteps, long totalSteps, double finalFraction)
      implements LearningRate {

    public Cosine {
      check(peak > 0 && Double.isFinite(peak), "peak", peak, "finite and above 0");
      check(totalSteps >= 1, "totalSteps", totalSteps, "at least 1");
      check(
          warmupSteps >= 0 && warmupSteps <= totalSteps,
          "warmupSteps",
          warmupSteps,
          "0 to totalSteps (" + totalSteps + ")");
      check(finalFraction >= 0 && finalFraction <= 1, "finalFraction", finalFraction, "in [0, 1]");
    }

    @Override
    public double at(long step) {
      checkStep(step);
      long first = Math.max(1, warmupSteps);
      if (step <= first) {
        return peak * ((double) step / first);
      }
      if (step >= totalSteps) {
        return peak * finalFraction;
      }
      double progress = (double) (step - first) / (totalSteps - first);
      return peak
          * (finalFraction + (1 - finalFraction) * 0.5 * (1 + Math.cos(Math.PI * progress)));
    }
  }

  private static void checkStep(long step) {
    check(step >= 1, "step", step, "at least 1");
  }

  private static void check(boolean valid, String name, double value, String range) {
    if (!valid) {
      throw new IllegalArgumentException(name + " must be " + range + ", not " + value);
    }
  }
}
