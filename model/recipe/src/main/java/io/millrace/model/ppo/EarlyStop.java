package io.millrace.model.ppo;

import io.millrace.model.training.Checks;

/**
 * Stops learning when the mean score of held-out prompts has no new best for {@code patience}
 * evaluations in a row (Goodfellow, Bengio and Courville, "Deep Learning", 2016, algorithm 7.1;
 * Llama 2, arXiv 2307.09288, section 3.2.3, stops early on held-out prompts without a rule).
 */
public final class EarlyStop {

  private final Settings settings;
  private double sum;
  private long count;
  private double best = Double.NEGATIVE_INFINITY;
  private int withoutBest;
  private double latest = Double.NaN;

  /**
   * When to stop.
   *
   * @param patience evaluations without a new best, at least 1; 0 never stops
   * @param minimumSamples scores that an evaluation needs; fewer wait for more
   */
  public record Settings(int patience, int minimumSamples) {

    public static final int DEFAULT_MINIMUM_SAMPLES = 16;

    public Settings {
      Checks.that(patience >= 0, "patience", patience, "at least 0");
      Checks.that(minimumSamples >= 1, "minimumSamples", minimumSamples, "at least 1");
    }
  }

  public EarlyStop(Settings settings) {
    this.settings = settings;
  }

  /**
   * Takes the score of a held-out response.
   *
   * @throws IllegalArgumentException if it is not finite
   */
  public void add(double score) {
    Checks.finite("held-out score", score);
    sum += score;
    count++;
  }

  /** Evaluates the mean of the scores since the last evaluation, where there are enough. */
  public void evaluate() {
    if (count < settings.minimumSamples()) {
      return;
    }
    latest = sum / count;
    sum = 0;
    count = 0;
    if (latest > best) {
      best = latest;
      withoutBest = 0;
    } else {
      withoutBest++;
    }
  }

  public boolean stopped() {
    return settings.patience() > 0 && withoutBest >= settings.patience();
  }

  /** The mean held-out score of the last evaluation; NaN before the first. */
  public double latest() {
    return latest;
  }

  /** The scores since the last evaluation, and the evaluations so far. */
  public record State(double sum, long count, double best, int withoutBest, double latest) {}

  public State state() {
    return new State(sum, count, best, withoutBest, latest);
  }

  public void restore(State state) {
    sum = state.sum();
    count = state.count();
    best = state.best();
    withoutBest = state.withoutBest();
    latest = state.latest();
  }
}
