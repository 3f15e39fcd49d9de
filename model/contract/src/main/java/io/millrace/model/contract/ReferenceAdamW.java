package io.millrace.model.contract;

import io.millrace.model.tensor.AdamW;

/**
 * AdamW in float64, step by step as in the documentation of {@code torch.optim.AdamW} (Loshchilov
 * &amp; Hutter, arXiv 1711.05101, algorithm 2). It belongs to the page of {@link Reference}.
 */
final class ReferenceAdamW {

  final double[] parameters;
  final double[] firstMoment;
  final double[] secondMoment;
  private int step;

  ReferenceAdamW(double[] parameters) {
    this.parameters = parameters.clone();
    this.firstMoment = new double[parameters.length];
    this.secondMoment = new double[parameters.length];
  }

  /**
   * One update:
   *
   * <pre>
   *   g = gradientScale · gradient
   *   θ = θ − learningRate · weightDecay · θ
   *   m = β₁ · m + (1 − β₁) · g
   *   v = β₂ · v + (1 − β₂) · g²
   *   θ = θ − learningRate · m / (1 − β₁^step) / (√(v / (1 − β₂^step)) + ε)
   * </pre>
   *
   * @param gradients {@code [parameters]}
   */
  void step(
      double[] gradients,
      AdamW settings,
      double weightDecay,
      double learningRate,
      double gradientScale) {
    step++;
    for (int i = 0; i < parameters.length; i++) {
      double g = gradients[i] * gradientScale;
      parameters[i] -= learningRate * weightDecay * parameters[i];
      firstMoment[i] = settings.beta1() * firstMoment[i] + (1 - settings.beta1()) * g;
      secondMoment[i] = settings.beta2() * secondMoment[i] + (1 - settings.beta2()) * g * g;
      double mHat = firstMoment[i] / (1 - Math.pow(settings.beta1(), step));
      double vHat = secondMoment[i] / (1 - Math.pow(settings.beta2(), step));
      parameters[i] -= learningRate * mHat / (Math.sqrt(vHat) + settings.epsilon());
    }
  }
}
