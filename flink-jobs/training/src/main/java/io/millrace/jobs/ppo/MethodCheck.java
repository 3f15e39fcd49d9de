package io.millrace.jobs.ppo;

import io.millrace.model.ppo.AdvantageMethod;
import io.millrace.model.ppo.KlPlacement;
import io.millrace.model.ppo.RewardWhitening;

/** Refuses options that mean nothing with a method of advantages. */
final class MethodCheck {

  private MethodCheck() {}

  /** The options of {@link PpoSection} that a method may not go with. */
  record Options(
      double kl,
      KlPlacement klIn,
      double gamma,
      boolean groupDeviation,
      RewardWhitening whitening,
      long criticWarmup) {}

  /**
   * @throws IllegalArgumentException naming the options and how to mend them
   */
  static void check(AdvantageMethod method, Options options) {
    if (options.criticWarmup() > 0 && !method.hasCritic()) {
      throw new IllegalArgumentException(
          ("critic-warmup must be 0 with advantage %s, not %d: it has no critic. Set it to 0, or"
                  + " advantage to gae")
              .formatted(method, options.criticWarmup()));
    }
    if (options.gamma() < 1 && method.comparesResponses()) {
      throw new IllegalArgumentException(
          ("gamma must be 1 with advantage %s, not %s: a response has one reward for all of its"
                  + " tokens. Set it to 1, or advantage to reinforce++")
              .formatted(method, options.gamma()));
    }
    if (method == AdvantageMethod.GRPO
        && options.klIn() == KlPlacement.REWARD
        && options.kl() > 0) {
      throw new IllegalArgumentException(
          "kl-in must be loss with advantage grpo, not reward: the deviation of a prompt's rewards"
              + " would scale the KL. Set kl-in to loss and kl-estimator to k3, or advantage to"
              + " rloo");
    }
    if (!options.groupDeviation() && method != AdvantageMethod.GRPO) {
      throw new IllegalArgumentException(
          ("group-deviation must be true with advantage %s, not false: only grpo divides by the"
                  + " deviation. Set it to true, or advantage to grpo")
              .formatted(method));
    }
    if (options.whitening() == RewardWhitening.PROMPT && method.comparesResponses()) {
      throw new IllegalArgumentException(
          ("whitening must not be prompt with advantage %s: it would divide by the deviation of a"
                  + " prompt's rewards, which is for group-deviation of grpo to say. Set it to"
                  + " deciding-model")
              .formatted(method));
    }
  }

  /**
   * @throws IllegalArgumentException if the value is neither 0 nor a bound on ratios
   */
  static void dualClip(double dualClip) {
    if (dualClip > 0 && dualClip <= 1) {
      throw new IllegalArgumentException(
          "dual-clip must be above 1, or 0 for none, not %s".formatted(dualClip));
    }
  }

  /**
   * Checks the size of groups.
   *
   * @param samples of each prompt
   * @throws IllegalArgumentException if groups of that size do not exist or do not fill a batch
   */
  static void groups(AdvantageMethod method, int samples, int batchSize) {
    if (!method.comparesResponses()) {
      return;
    }
    if (samples == 1) {
      throw new IllegalArgumentException(
          ("rollout.samples-per-prompt must be at least 2 with ppo.advantage %s, not 1: it compares"
               + " the responses to a prompt. Sample more, or set ppo.advantage to reinforce++ or"
               + " gae")
              .formatted(method));
    }
    if (batchSize % samples != 0) {
      throw new IllegalArgumentException(
          ("rollout.samples-per-prompt must divide ppo.batch-size %d with ppo.advantage %s, not %d:"
                  + " a batch has whole groups. Change one of them")
              .formatted(batchSize, method, samples));
    }
  }
}
