package io.millrace.model.train;

/**
 * A learning rate by update.
 *
 * @param peak the rate after warm-up
 * @param warmupSteps updates over which it rises, linearly, from peak / warmupSteps
 * @param scheduleSteps updates, warm-up included, over which it falls by a cosine to its final
 *     value; 0 keeps it at the peak
 * @param finalFraction of the peak, where the cosine ends and the rate stays
 */
public record LearningRate(
    double peak, long warmupSteps, long scheduleSteps, double finalFraction) {

  public LearningRate {
    if (!(peak > 0) || warmupSteps < 0 || scheduleSteps < 0) {
      throw new IllegalArgumentException(
          "peak %s must be above 0, warm-up %d and schedule %d at least 0"
              .formatted(peak, warmupSteps, scheduleSteps));
    }
    if (!(finalFraction >= 0 && finalFraction <= 1)) {
      throw new IllegalArgumentException("finalFraction must be in [0, 1], not " + finalFraction);
    }
    if (scheduleSteps > 0 && warmupSteps >= scheduleSteps) {
      throw new IllegalArgumentException(
          "warm-up of %d updates leaves nothing of a schedule of %d"
              .formatted(warmupSteps, scheduleSteps));
    }
  }

  public static LearningRate constant(double rate) {
    return new LearningRate(rate, 0, 0, 1);
  }

  /** The rate of an update, counted from 0. */
  public double at(long step) {
    if (step < warmupSteps) {
      return peak * (step + 1) / warmupSteps;
    }
    if (scheduleSteps == 0) {
      return peak;
    }
    double progress = Math.min(1, (double) (step - warmupSteps) / (scheduleSteps - warmupSteps));
    double cosine = (1 + Math.cos(Math.PI * progress)) / 2;
    return peak * (finalFraction + (1 - finalFraction) * cosine);
  }
}
