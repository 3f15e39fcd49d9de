package io.millrace.model.evaluation;

import io.millrace.model.evaluation.Judge.Choice;
import io.millrace.model.reward.Logistic;
import io.millrace.model.training.Checks;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalDouble;

/**
 * The win rate that a policy would have if its responses were as long as the other policy's
 * (AlpacaEval 2, Dubois et al., arXiv 2404.04475, section 3). A logistic regression explains each
 * choice by the policies and by the difference of the two lengths:
 *
 * <pre>
 * logit P(win) = θ + φ · tanh(Δ / s)
 * </pre>
 *
 * <p>with Δ the tokens that the response has more, and s the standard deviation of Δ. The
 * length-controlled win rate is σ(θ). A tie counts as half a win. φ has a standard normal prior,
 * the paper's regularisation, so no few prompts make it endless. The paper's third term, the
 * difficulty of a prompt, is left out: it is estimated over many policies, and here are two.
 *
 * @param differences Δ of each prompt, {@code [prompts]}
 * @param halfWins 2 for a win, 1 for a tie, 0 for a loss, {@code [prompts]}
 */
public record LengthControl(int[] differences, int[] halfWins) {

  /** No prompts. */
  public static final LengthControl NONE = new LengthControl(new int[0], new int[0]);

  private static final int ITERATIONS = 200;
  private static final double CONVERGED = 1e-12;

  public LengthControl {
    Checks.sameLength("choices", halfWins.length, differences.length);
  }

  /**
   * The comparison of two policies' responses to the same prompts.
   *
   * @param lengths tokens of the first policy's responses
   * @param otherLengths tokens of the other policy's
   * @param choices A for the first policy
   */
  public static LengthControl of(int[] lengths, int[] otherLengths, List<Choice> choices) {
    int[] differences = new int[lengths.length];
    int[] halfWins = new int[choices.size()];
    for (int i = 0; i < lengths.length; i++) {
      differences[i] = lengths[i] - otherLengths[i];
    }
    for (int i = 0; i < halfWins.length; i++) {
      halfWins[i] =
          switch (choices.get(i)) {
            case A -> 2;
            case TIE -> 1;
            case B -> 0;
          };
    }
    return new LengthControl(differences, halfWins);
  }

  /** These prompts and further ones. */
  public LengthControl plus(LengthControl more) {
    return new LengthControl(
        joined(differences, more.differences), joined(halfWins, more.halfWins));
  }

  private static int[] joined(int[] a, int[] b) {
    int[] all = Arrays.copyOf(a, a.length + b.length);
    System.arraycopy(b, 0, all, a.length, b.length);
    return all;
  }

  /** The length-controlled win rate; empty without prompts. */
  public OptionalDouble winRate() {
    int count = differences.length;
    if (count == 0) {
      return OptionalDouble.empty();
    }
    double mean = Arrays.stream(halfWins).sum() / (2.0 * count);
    double[] x = scaled();
    if (mean == 0 || mean == 1 || x == null) {
      // All alike, or all of one length difference: the length explains nothing.
      return OptionalDouble.of(mean);
    }
    return OptionalDouble.of(Logistic.sigmoid(intercept(x)));
  }

  /** tanh(Δ / s) of each prompt; null if all differences are the same. */
  private double[] scaled() {
    double mean = Arrays.stream(differences).average().orElseThrow();
    double variance =
        Arrays.stream(differences)
            .mapToDouble(d -> (d - mean) * (d - mean))
            .average()
            .orElseThrow();
    if (variance == 0) {
      return null;
    }
    double deviation = Math.sqrt(variance);
    return Arrays.stream(differences).mapToDouble(d -> Math.tanh(d / deviation)).toArray();
  }

  /** θ by Newton's method with halved steps: the loss is strictly convex. */
  private double intercept(double[] x) {
    double theta = 0;
    double phi = 0;
    double loss = loss(x, theta, phi);
    for (int iteration = 0; iteration < ITERATIONS; iteration++) {
      double gTheta = 0;
      double gPhi = phi;
      double hTheta = 0;
      double hBoth = 0;
      double hPhi = 1;
      for (int i = 0; i < x.length; i++) {
        double p = Logistic.sigmoid(theta + phi * x[i]);
        double error = p - halfWins[i] / 2.0;
        double curvature = p * (1 - p);
        gTheta += error;
        gPhi += error * x[i];
        hTheta += curvature;
        hBoth += curvature * x[i];
        hPhi += curvature * x[i] * x[i];
      }
      double determinant = hTheta * hPhi - hBoth * hBoth;
      double dTheta = (hPhi * gTheta - hBoth * gPhi) / determinant;
      double dPhi = (hTheta * gPhi - hBoth * gTheta) / determinant;
      double step = 1;
      double next = loss(x, theta - dTheta, phi - dPhi);
      while (next > loss && step > CONVERGED) {
        step /= 2;
        next = loss(x, theta - step * dTheta, phi - step * dPhi);
      }
      theta -= step * dTheta;
      phi -= step * dPhi;
      loss = next;
      if (Math.abs(step * dTheta) + Math.abs(step * dPhi) < CONVERGED) {
        break;
      }
    }
    return theta;
  }

  /** Cross-entropy of the choices, and φ's prior. */
  private double loss(double[] x, double theta, double phi) {
    double loss = phi * phi / 2;
    for (int i = 0; i < x.length; i++) {
      double logit = theta + phi * x[i];
      loss += Logistic.softplus(logit) - halfWins[i] / 2.0 * logit;
    }
    return loss;
  }
}
