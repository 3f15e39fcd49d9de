package io.millrace.model.ppo;

import io.millrace.model.training.Checks;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Which rollouts of a PPO batch are {@linkplain Whitening whitened} together.
 *
 * <p>A policy cannot choose its prompts. Where the rewards of two kinds of prompts differ in mean
 * and in spread, whitening both together pays for the kind of the prompt, and the KL penalty weighs
 * more on the kind with the smaller spread.
 */
public enum RewardWhitening {

  /** The whole batch, as in Llama 2 (arXiv 2307.09288, section 3.2.3). */
  BATCH,

  /** Safety prompts, which the safety reward model decides, and the other prompts. */
  DECIDING_MODEL,

  /** The responses to the same prompt; a response alone gets 0. */
  PROMPT;

  /**
   * R̃_c of every rollout: WHITEN over its group.
   *
   * @param combined LOGIT(R_c) of every rollout
   */
  double[] whiten(List<PpoRollout> rollouts, double[] combined) {
    Checks.sameLength("combined rewards", combined.length, rollouts.size());
    double[] whitened = new double[combined.length];
    for (List<Integer> group : groups(rollouts)) {
      double[] some =
          Whitening.defaults().whiten(group.stream().mapToDouble(i -> combined[i]).toArray());
      for (int k = 0; k < some.length; k++) {
        whitened[group.get(k)] = some[k];
      }
    }
    return whitened;
  }

  /** Rollouts that are alone in their group: they earn 0, whatever their scores are. */
  int alone(List<PpoRollout> rollouts) {
    return (int) groups(rollouts).stream().filter(group -> group.size() == 1).count();
  }

  /** Indices of the rollouts of each group, in order. */
  private Collection<List<Integer>> groups(List<PpoRollout> rollouts) {
    return IntStream.range(0, rollouts.size())
        .boxed()
        .collect(
            Collectors.groupingBy(
                i -> key(rollouts.get(i)), LinkedHashMap::new, Collectors.toList()))
        .values();
  }

  private Object key(PpoRollout rollout) {
    return switch (this) {
      case BATCH -> true;
      case DECIDING_MODEL -> rollout.isSafety();
      case PROMPT -> Arrays.stream(rollout.prompt()).boxed().toList();
    };
  }

  /**
   * Share of the variance of whitened rewards that lies between safety prompts and other prompts,
   * and so is no merit of a response: variance of the means of the kinds, divided by the whole
   * variance; 0 where all are equal.
   */
  static double shareBetweenKinds(List<PpoRollout> rollouts, double[] whitened) {
    double mean = Arrays.stream(whitened).average().orElse(0);
    double between = 0;
    for (List<Integer> kind : DECIDING_MODEL.groups(rollouts)) {
      double sum = kind.stream().mapToDouble(i -> whitened[i] - mean).sum();
      between += sum * sum / kind.size();
    }
    double total = Arrays.stream(whitened).map(reward -> (reward - mean) * (reward - mean)).sum();
    return total > 0 ? between / total : 0;
  }
}
