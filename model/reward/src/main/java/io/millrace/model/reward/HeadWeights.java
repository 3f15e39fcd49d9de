package io.millrace.model.reward;

import io.millrace.model.training.RandomStream;

/**
 * The weight that each head of an ensemble gives a judgment. It is drawn from the Poisson
 * distribution with mean 1, the bootstrap of a stream (Oza &amp; Russell, "Online bagging and
 * boosting", AISTATS 2001). The draw depends on the judgment and the head alone, so a judgment that
 * comes again in a replay weighs the same.
 */
public final class HeadWeights {

  private HeadWeights() {}

  /**
   * The weight of a judgment for a head.
   *
   * @param draw number of the judgment, such as a hash of its id
   * @param head 0 to heads − 1
   * @param heads of the ensemble; a single head gives each judgment the weight 1
   */
  public static int of(long draw, int head, int heads) {
    if (heads == 1) {
      return 1;
    }
    double uniform = RandomStream.of(draw, head).nextDouble();
    // The inverse of the distribution function, term by term.
    double term = Math.exp(-1);
    int count = 0;
    for (double sum = term; uniform >= sum && count < 20; sum += term) {
      count++;
      term /= count;
    }
    return count;
  }
}
