package io.millrace.model.preference;

import io.millrace.model.training.Checks;

/**
 * What the losses depend on.
 *
 * @param beta β, above 0: how strongly the policy is held at π_0
 * @param smoothing ε of DPO's label smoothing, 0 to below 0.5
 * @param desirableWeight λ_D of KTO, at least 0
 * @param undesirableWeight λ_U of KTO, at least 0
 */
public record PreferenceSettings(
    Loss loss, double beta, double smoothing, double desirableWeight, double undesirableWeight) {

  /** A loss straight from preferences. */
  public enum Loss {
    /** Direct preference optimisation, {@link PairLoss#dpo}. */
    DPO,
    /** Identity preference optimisation, {@link PairLoss#ipo}. */
    IPO,
    /** Kahneman-Tversky optimisation, from single labels, {@link LabelLoss#kto}. */
    KTO;

    /** Whether the loss compares two responses; the other takes labelled ones. */
    public boolean isOfPairs() {
      return this != KTO;
    }
  }

  public PreferenceSettings {
    PairLoss.checkBeta(beta);
    PairLoss.checkSmoothing(smoothing);
    checkWeight("desirable weight", desirableWeight);
    checkWeight("undesirable weight", undesirableWeight);
    if (smoothing > 0 && loss != Loss.DPO) {
      throw new IllegalArgumentException("label smoothing belongs to dpo alone, not to " + loss);
    }
  }

  private static void checkWeight(String name, double weight) {
    Checks.that(weight >= 0 && Double.isFinite(weight), name, weight, "finite and at least 0");
  }

  PairLoss ofPair(double difference, double margin) {
    return switch (loss) {
      case DPO -> PairLoss.dpo(difference, beta, margin, smoothing);
      case IPO -> PairLoss.ipo(difference, beta, margin);
      case KTO -> throw new IllegalStateException("kto takes labelled responses, not pairs");
    };
  }

  LabelLoss ofLabel(double logRatio, double referencePoint, boolean desirable) {
    return LabelLoss.kto(
        logRatio, referencePoint, beta, desirable, desirable ? desirableWeight : undesirableWeight);
  }
}
