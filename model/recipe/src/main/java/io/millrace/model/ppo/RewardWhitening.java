package io.millrace.model.ppo;

import io.millrace.model.training.Checks;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

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
    Map<Object, int[]> groups = groups(rollouts);
    double[] whitened = new double[combined.length];
    for (int[] group : groups.values()) {
      double[] some =
          Whitening.defaults().whiten(Arrays.stream(group).mapToDouble(i -> combined[i]).toArray());
      for (int k = 0; k < group.length; k++) {
        whitened[group[k]] = some[k];
      }
    }
    return whitened;
  }

  /** Rollouts that are alone in their group: they earn 0, whatever their scores are. */
  int alone(List<PpoRollout> rollouts) {
    return (int) groups(rollouts).values().stream().filter(group -> group.length == 1).count();
  }

  /** Indices of the rollouts of each group, in order. */
  private Map<Object, int[]> groups(List<PpoRollout> rollouts) {
    Map<Object, int[]> groups = new LinkedHashMap<>();
    for (int i = 0; i < rollouts.size(); i++) {
      int member = i;
      groups.merge(
          key(rollouts.get(i)),
          new int[] {i},
          (group, _) -> {
            int[] longer = Arrays.copyOf(group, group.length + 1);
            longer[group.length] = member;
            return longer;
          });
    }
    return groups;
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
    Map<Boolean, double[]> sums = new HashMap<>();
    double total = 0;
    for (int i = 0; i < whitened.length; i++) {
      double[] sum = sums.computeIfAbsent(rollouts.get(i).isSafety(), _ -> new double[2]);
      sum[0] += whitened[i] - mean;
      sum[1]++;
      total += (whitened[i] - mean) * (whitened[i] - mean);
    }
    double between = sums.values().stream().mapToDouble(sum -> sum[0] * sum[0] / sum[1]).sum();
    return total > 0 ? between / total : 0;
  }
}
