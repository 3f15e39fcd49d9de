package io.millrace.model.annotators;

import io.millrace.model.training.Checks;

/**
 * The reliability r of an annotator: the probability that the annotator names the better of two
 * responses. It is 1 for a perfect annotator, 0.5 for one who guesses, and less for one who names
 * the worse response on purpose.
 *
 * <p>The model is that of Dawid and Skene (Applied Statistics 28(1), 1979) with one parameter for
 * each annotator. Few pairs are judged twice in a stream, so the other annotators' votes are
 * replaced by what a reward model expects, as in Crowd-BT (Chen et al., "Pairwise ranking
 * aggregation in a crowdsourced setting", WSDM 2013, equation 3):
 *
 * <pre>P(judgment | r) = r · p + (1 − r) · (1 − p)</pre>
 *
 * Here p is the probability that the chosen response is the better one, taken before anything was
 * learned from the judgment. The posterior of r is kept on a grid, with the prior Beta({@value
 * #PRIOR_RIGHT}, 1). Before each judgment all log-likelihoods are multiplied by 1 − 1/window, so
 * that old judgments fade (a power prior: Ibrahim and Chen, Statistical Science 15(1), 2000).
 */
public final class AnnotatorReliability {

  /** Cells of the grid over r, of equal width. */
  static final int CELLS = 25;

  /** Beta(4, 1): a uniform prior, and three judgments that were right. */
  static final double PRIOR_RIGHT = 4;

  /** No judgment is certain to be right or wrong: p is kept between this and 1 minus this. */
  static final double LEAST = 0.02;

  private final double fading;
  private final double[] logLikelihood = new double[CELLS];
  private double judgments;

  /**
   * An annotator without judgments.
   *
   * @param window judgments after which one counts 1/e of what it did
   */
  public AnnotatorReliability(int window) {
    Checks.that(window >= 2, "window", window, "at least 2");
    this.fading = 1 - 1.0 / window;
  }

  /**
   * The probability that the chosen response is the better one, by a reward model.
   *
   * @param difference score of the preferred response minus that of the other
   */
  public static double expected(double difference) {
    return 1 / (1 + Math.exp(-Checks.finite("difference", difference)));
  }

  /**
   * Adds a vote of another annotator on the same pair to a probability, by Bayes' rule.
   *
   * @param p probability that the chosen response is the better one
   * @param reliability of the other annotator
   * @param agrees whether the other annotator chose the same response
   */
  public static double withVote(double p, double reliability, boolean agrees) {
    double likelihood = agrees ? reliability : 1 - reliability;
    double chosen = bounded(p) * bounded(likelihood);
    return chosen / (chosen + (1 - bounded(p)) * (1 - bounded(likelihood)));
  }

  /**
   * The probability of a choice, by whoever makes it: r · p + (1 − r) · (1 − p).
   *
   * @param p probability that the chosen response is the better one
   * @param reliability r of the annotator
   */
  public static double choice(double p, double reliability) {
    return reliability * bounded(p) + (1 - reliability) * (1 - bounded(p));
  }

  private static double bounded(double p) {
    return Math.clamp(p, LEAST, 1 - LEAST);
  }

  /**
   * Counts a judgment.
   *
   * @param p probability, 0 to 1, that the chosen response is the better one
   */
  public void add(double p) {
    Checks.that(p >= 0 && p <= 1, "p", p, "0 to 1");
    for (int i = 0; i < CELLS; i++) {
      logLikelihood[i] = fading * logLikelihood[i] + Math.log(choice(p, reliability(i)));
    }
    judgments = fading * judgments + 1;
  }

  private static double reliability(int cell) {
    return (cell + 0.5) / CELLS;
  }

  /** Judgments that count, older ones in part; at most the window. */
  public double judgments() {
    return judgments;
  }

  /** The posterior mean of r. */
  public double mean() {
    double[] posterior = posterior();
    double mean = 0;
    for (int i = 0; i < CELLS; i++) {
      mean += posterior[i] * reliability(i);
    }
    return mean;
  }

  /**
   * The bound that r is under with a given posterior probability. The probability of a cell is
   * spread evenly over it.
   *
   * @param probability above 0 to below 1
   */
  public double quantile(double probability) {
    Checks.that(probability > 0 && probability < 1, "probability", probability, "above 0, below 1");
    double[] posterior = posterior();
    double below = 0;
    int cell = 0;
    while (cell < CELLS - 1 && below + posterior[cell] < probability) {
      below += posterior[cell];
      cell++;
    }
    return (cell + Math.clamp((probability - below) / posterior[cell], 0, 1)) / CELLS;
  }

  /** Posterior probability of each cell. */
  private double[] posterior() {
    double[] log = new double[CELLS];
    double most = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < CELLS; i++) {
      log[i] = logLikelihood[i] + (PRIOR_RIGHT - 1) * Math.log(reliability(i));
      most = Math.max(most, log[i]);
    }
    double sum = 0;
    for (int i = 0; i < CELLS; i++) {
      log[i] = Math.exp(log[i] - most);
      sum += log[i];
    }
    for (int i = 0; i < CELLS; i++) {
      log[i] /= sum;
    }
    return log;
  }

  /**
   * The weight of the annotator's judgments in a loss: max(0, 2r − 1). A judgment is +1 or −1 with
   * mean (2r − 1) · tanh(Δ / 2), where Δ is the difference of the true scores. For small Δ all
   * judgments have the same variance, and the estimate of Δ with the least variance weights them by
   * 2r − 1. Below 0.5 the sign would be turned; such judgments count nothing instead, because an
   * annotator could pretend to be wrong.
   *
   * @param reliability r, 0 to 1
   */
  public static double weight(double reliability) {
    return Math.max(0, 2 * reliability - 1);
  }

  /**
   * The posterior without its prior.
   *
   * @param logLikelihood by cell of the grid, {@code [25]}
   * @param judgments see {@link AnnotatorReliability#judgments}
   */
  public record State(double[] logLikelihood, double judgments) {

    public State {
      Checks.sameLength("log-likelihoods", logLikelihood.length, CELLS);
    }
  }

  public State state() {
    return new State(logLikelihood.clone(), judgments);
  }

  /** Continues from a state. */
  public void restore(State state) {
    System.arraycopy(state.logLikelihood(), 0, logLikelihood, 0, CELLS);
    judgments = state.judgments();
  }
}
