package io.millrace.model.rlhf;

/** The binary ranking loss with a margin (Llama 2, arXiv 2307.09288, section 3.2.2, equation 2). */
public final class RankingLoss {

  private RankingLoss() {}

  /** −log σ(r_c − r_r − m). */
  public static double loss(double preferred, double rejected, double margin) {
    return Logistic.softplus(-(preferred - rejected - margin));
  }

  /** Its derivative by the preferred score; by the rejected one it is the negative of that. */
  public static double derivative(double preferred, double rejected, double margin) {
    return -Logistic.sigmoid(-(preferred - rejected - margin));
  }
}
